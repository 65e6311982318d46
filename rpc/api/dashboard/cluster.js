// The cluster's status, read once a second for all of the page.

import { Store } from './store.js';
import { get } from './client.js';
import { repeat } from './poll.js';

const every = 1000; // ms
const historyMax = 300; // readings kept for the charts

// cluster has the newest status, how the last reading failed, and the readings before: {t, rate, ms}.
export const cluster = new Store({ status: null, at: 0, error: null, history: [] });

export const ended = (counts) => counts.done + counts.failed + counts.cancelled;
export const total = (counts) => ended(counts) + counts.waiting + counts.ready + counts.delayed + counts.picked + counts.running;

// follow reads the status until the signal.
export function follow(signal) {
  let before = null; // {at, ended} of the reading before
  repeat(every, signal, async () => {
    const began = performance.now();
    try {
      const status = await get('v1/status', { signal });
      const now = performance.now();
      const count = ended(status.jobs);
      // Old requests are forgotten now and then: the count falls, and nothing is known of that moment.
      const rate = before && status.fresh && count >= before.ended ? (count - before.ended) / ((now - before.at) / 1000) : null;
      before = status.fresh ? { at: now, ended: count } : null;
      const reading = { t: Date.now() / 1000, rate, ms: status.fresh ? now - began : null };
      cluster.set({ status, at: Date.now(), error: null, history: [...cluster.value.history.slice(1 - historyMax), reading] });
    } catch (error) {
      if (signal.aborted) return;
      before = null;
      const reading = { t: Date.now() / 1000, rate: null, ms: null };
      cluster.set({ error, history: [...cluster.value.history.slice(1 - historyMax), reading] });
    }
  });
}
