// Reading something again and again while it is looked at.

import { useState, useEffect, useRef } from './base.js';
import { sleep, shown } from './client.js';

// repeat calls read every so often until the signal, and less often when it takes long.
export async function repeat(every, signal, read) {
  while (!signal.aborted) {
    await shown(signal);
    const began = performance.now();
    await read();
    await sleep(Math.max(every, 8 * (performance.now() - began)), signal);
  }
}

// usePoll reads again and again. What was read stays when a reading fails, with the error beside it.
// every 0: once. The reading begins anew when a key changes, and at again().
export function usePoll(read, every, keys) {
  const [state, set] = useState({ data: null, error: null, at: 0 });
  const [turn, setTurn] = useState(0);
  const was = useRef('');
  useEffect(() => {
    const key = JSON.stringify(keys);
    if (was.current !== key) set({ data: null, error: null, at: 0 }); // of something else
    was.current = key;
    const end = new AbortController();
    const once = async () => {
      try {
        const data = await read(end.signal);
        if (!end.signal.aborted) set({ data, error: null, at: Date.now() });
      } catch (error) {
        if (!end.signal.aborted) set((s) => ({ ...s, error }));
      }
    };
    if (every > 0) repeat(every, end.signal, once);
    else once();
    return () => end.abort();
  }, [...keys, every, turn]);
  return { ...state, again: () => setTurn((n) => n + 1) };
}
