// A store is a value that components follow.

import { useState, useEffect } from './base.js';

export class Store {
  #followers = new Set();

  constructor(value) { this.value = value; }

  // set replaces some fields and tells the followers.
  set(change) {
    this.value = { ...this.value, ...change };
    for (const f of [...this.#followers]) f(this.value);
  }

  follow(f) {
    this.#followers.add(f);
    return () => this.#followers.delete(f);
  }
}

// useStore gives a store's value and draws again when it changes.
export function useStore(store) {
  const [, draw] = useState(0);
  useEffect(() => store.follow(() => draw((n) => n + 1)), [store]);
  return store.value;
}
