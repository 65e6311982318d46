// Calls to the coordinators. The page's own comes first; when it does not answer, the next one of the cluster is asked,
// so that an open page outlives the coordinator that it came from. The server lets pages of its cluster do that, and
// names the addresses in the page.

import { Store } from './store.js';

const callTime = 6000; // ms for an answer
const silenceMax = 15000; // ms without a sign of life on a stream: coordinators write every 5 s
const retryFirst = 250; // ms before a stream is tried again
const retryMax = 2000;

const page = new URL('.', document.baseURI).href;
const bases = [page];
for (const address of document.querySelector('meta[name=muster-coordinators]').content.split(' ')) {
  if (!address) continue;
  const url = new URL('/', address);
  const alias = url.hostname === 'localhost' && location.hostname !== 'localhost';
  if (!alias && url.origin !== location.origin) bases.push(url.href);
}
let current = 0; // of bases: the one that answered last

// connection says whether anybody answers, for the page to be honest about it.
export const connection = new Store({ ok: true, base: page, heard: Date.now(), error: null });

function heard(i) {
  current = i;
  const c = connection.value;
  if (!c.ok || c.base !== bases[i]) connection.set({ ok: true, base: bases[i], heard: Date.now(), error: null });
  else c.heard = Date.now();
}

function unheard(error) {
  connection.set({ ok: false, error });
}

// base is the address of the coordinator that answers, with a slash at its end.
export const base = () => bases[current];

// Problem is an answer that is an error.
export class Problem extends Error {
  constructor(status, doc) {
    super(doc.detail || doc.title || `answer ${status}`);
    this.status = status;
    this.code = doc.code || '';
  }
}

// call asks one coordinator after the other until one answers. What the dashboard changes may be asked for twice.
export async function call(method, path, { signal, timeout = callTime } = {}) {
  let error = null;
  const first = current;
  for (let i = 0; i < bases.length; i++) {
    const at = (first + i) % bases.length;
    let response;
    try {
      const patience = AbortSignal.timeout(timeout);
      response = await fetch(bases[at] + path, {
        method, cache: 'no-store', signal: signal ? AbortSignal.any([signal, patience]) : patience,
      });
    } catch (e) {
      if (signal?.aborted) throw e;
      error = e.name === 'TimeoutError' ? new Error(`no answer within ${timeout / 1000} s`) : new Error('connection refused or lost');
      continue;
    }
    if (response.ok) {
      heard(at);
      return response;
    }
    const problem = new Problem(response.status, await response.json().catch(() => ({})));
    if (problem.code !== 'no_leader') {
      heard(at);
      throw problem;
    }
    error = problem; // another may know the leader by now
  }
  if (!(error instanceof Problem)) unheard(error.message);
  throw error;
}

export async function get(path, options) {
  return (await call('GET', path, options)).json();
}

export async function post(path) {
  return (await call('POST', path, { timeout: 30000 })).json();
}

// pages reads a list page by page: each is given to take, which may answer false to stop. It answers the log index of
// the first page, after which events are news.
export async function pages(path, query, take, signal) {
  let index = 0;
  for (let after = ''; ;) {
    const q = new URLSearchParams({ ...query, ...(after && { after }) });
    const response = await call('GET', `${path}?${q}`, { signal, timeout: 30000 });
    index ||= Number(response.headers.get('Muster-Index'));
    const doc = await response.json();
    after = doc.next || '';
    if (take(doc) === false || !after) return index;
  }
}

export function sleep(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => { clearTimeout(timer); resolve(); };
    const timer = setTimeout(() => { signal?.removeEventListener('abort', end); resolve(); }, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}

// shown resolves when the page can be seen: a browser has few connections for each coordinator, and hidden pages keep none.
export function shown(signal) {
  return new Promise((resolve) => {
    if (!document.hidden || signal?.aborted) return resolve();
    const look = () => {
      if (document.hidden && !signal?.aborted) return;
      document.removeEventListener('visibilitychange', look);
      signal?.removeEventListener('abort', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
    signal?.addEventListener('abort', look);
  });
}

// watch gives the events after an index to onEvents, batch by batch, until the signal. It goes on with another
// coordinator when one is lost. Events of the entry at which it broke off may come twice.
export async function watch({ query = {}, from, onEvents, signal }) {
  let last = from;
  for (let wait = retryFirst; !signal.aborted;) {
    await shown(signal);
    const began = Date.now();
    try {
      await stream(query, last, signal, (events, index) => {
        last = Math.max(last, index - 1);
        if (events.length > 0) onEvents(events);
      });
    } catch {
      // the next turn says whether it was the coordinator or the page that was left
    }
    if (signal.aborted) return;
    wait = Date.now() - began > retryMax ? retryFirst : Math.min(wait * 2, retryMax);
    await sleep(wait, signal);
  }
}

// stream reads one connection until it breaks, is silent for too long, or the page is hidden.
async function stream(query, from, signal, give) {
  const end = new AbortController();
  const hide = () => { if (document.hidden) end.abort(); };
  document.addEventListener('visibilitychange', hide);
  let silence;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => end.abort(), silenceMax);
  };
  const at = current;
  try {
    alive();
    const q = new URLSearchParams({ ...query, from });
    const response = await fetch(`${bases[at]}v1/events?${q}`, { cache: 'no-store', signal: AbortSignal.any([signal, end.signal]) });
    if (!response.ok) throw new Error(`answer ${response.status}`);
    heard(at);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parse = parser(give);
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive();
      heard(at);
      parse(value);
    }
  } finally {
    clearTimeout(silence);
    document.removeEventListener('visibilitychange', hide);
    // Not this one again if there is another: its process may have gone, or hang. A call finds out which one answers.
    if (!signal.aborted && !document.hidden && current === at) current = (at + 1) % bases.length;
  }
}

// parser takes pieces of an event stream, and gives all events of a piece with the last index.
function parser(give) {
  let rest = '';
  let index = 0;
  return (piece) => {
    const lines = (rest + piece).split('\n');
    rest = lines.pop();
    const events = [];
    for (const line of lines) {
      if (line.startsWith('id: ')) index = Number(line.slice(4));
      else if (line.startsWith('data: ')) events.push(JSON.parse(line.slice(6)));
    }
    if (index > 0) give(events, index);
  };
}
