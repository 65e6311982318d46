// Parts that several pages are made of.

import { html, useState, useEffect, useLayoutEffect, useRef } from './base.js';
import { Store, useStore } from './store.js';
import { post } from './client.js';
import { number } from './format.js';

// states of jobs in the order of a job's life; requests, workers and sessions have some of them or words of their own.
export const states = ['waiting', 'delayed', 'ready', 'picked', 'running', 'done', 'failed', 'cancelled'];

// shapes tell states apart without colour, on a field of 16.
const shapes = {
  waiting: html`<circle cx="8" cy="8" r="5.2" fill="none" stroke-dasharray="2.200 2.200"/>`,
  delayed: html`<circle cx="8" cy="8" r="5.2" fill="none"/><path d="M8 5v3.200h2.600" fill="none"/>`,
  ready: html`<circle cx="8" cy="8" r="5.2" fill="none"/>`,
  picked: html`<circle cx="8" cy="8" r="5.2" fill="none"/><path d="M8 2.800a5.200 5.200 0 0 1 0 10.400z" stroke="none"/>`,
  running: html`<circle cx="8" cy="8" r="6" stroke="none"/><path d="M6.500 5.200v5.600L11 8z" class="inner"/>`,
  done: html`<circle cx="8" cy="8" r="6" stroke="none"/><path d="M5.200 8.200l2 2 3.600-4" class="cut" fill="none"/>`,
  failed: html`<path d="M5.200 2h5.600L14 5.200v5.600L10.800 14H5.200L2 10.800V5.200z" stroke="none"/><path d="M5.800 5.800l4.400 4.400m0-4.400l-4.400 4.400" class="cut" fill="none"/>`,
  cancelled: html`<circle cx="8" cy="8" r="5.2" fill="none"/><path d="M4.400 11.600l7.200-7.200" fill="none"/>`,
};
const alike = { alive: 'done', open: 'done', healthy: 'done', closed: 'cancelled', draining: 'delayed', lost: 'failed', unhealthy: 'failed' };

// Shape draws a state's shape, as a picture of its own or (at x, y) within another.
export function Shape({ state, ...at }) {
  const kind = alike[state] || state;
  return html`<svg class=${`shape s-${kind}`} viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" ...${at}>${shapes[kind]}</svg>`;
}

export function State({ state, reason }) {
  const kind = alike[state] || state;
  return html`<span class=${`state s-${kind}`}><${Shape} state=${state}/>${state}${reason && reason !== 'error' ? html` <span class="reason">(${reason})</span>` : ''}</span>`;
}

// Meter is a share of something, written beside it.
export function Meter({ value, max = 100, label, text, kind = 'running' }) {
  const share = max > 0 ? Math.min(100, (100 * value) / max) : 0;
  return html`<span class="meter"><span class="track" role="meter" aria-label=${label} aria-valuemin="0" aria-valuemax=${max} aria-valuenow=${value}
    aria-valuetext=${text}><span class=${`fill s-${kind}`} style=${{ width: `${share}%` }}></span></span><span class="beside">${text}</span></span>`;
}

const inOrder = ['done', 'failed', 'cancelled', 'running', 'picked', 'ready', 'delayed', 'waiting'];

// Counts draws jobs by state as one bar.
export function Counts({ counts, label }) {
  const all = inOrder.reduce((n, s) => n + counts[s], 0);
  const words = inOrder.filter((s) => counts[s] > 0).map((s) => `${number(counts[s])} ${s}`).join(', ') || 'no jobs';
  return html`<span class="stack" role="img" aria-label=${`${label ? `${label}: ` : ''}${words}`} title=${words}>
    ${inOrder.filter((s) => counts[s] > 0).map((s) => html`<span key=${s} class=${`s-${s}`} style=${{ width: `${(100 * counts[s]) / all}%` }}></span>`)}</span>`;
}

// Name is a name from outside, which may be anything.
export function Name({ children, href, title }) {
  const text = html`<bdi>${children}</bdi>`;
  return href ? html`<a class="name" href=${href} title=${title}>${text}</a>` : html`<span class="name" title=${title}>${text}</span>`;
}

// Trouble says what could not be read, and of when what is shown is.
export function Trouble({ error, at }) {
  if (!error) return null;
  return html`<p class="trouble" role="status"><${Shape} state="failed"/> <span>${at ? 'Not up to date: ' : ''}${error.message}</span></p>`;
}

// Loading stands where something will be; or says why it will not.
export function Loading({ error, what }) {
  if (error) return html`<div class="empty"><p><strong>Nothing to show.</strong></p><p>${error.message}</p></div>`;
  return html`<p class="empty" role="status">Reading ${what} …</p>`;
}

export function Empty({ children }) { return html`<p class="empty">${children}</p>`; }

export function Fact({ name, children }) { return html`<div class="fact"><dt>${name}</dt><dd>${children}</dd></div>`; }

// Page is a page's heading and body. The heading takes the focus when the page is gone to, for readers of screens.
export function Page({ title, name, aside, children }) {
  const head = useRef(null);
  useEffect(() => {
    document.title = `${name ? `${name} · ` : ''}${title} · muster`;
  }, [title, name]);
  return html`<div class="page"><div class="head"><h1 tabindex="-1" ref=${head}>${title}${name ? html` <bdi class="of">${name}</bdi>` : ''}</h1><div class="aside">${aside}</div></div>${children}</div>`;
}

// notices are what came of things that were asked for.
const notices = new Store({ list: [], next: 1 });
const noticeTime = 8000; // ms

export function notify(text, bad = false) {
  const { list, next } = notices.value;
  notices.set({ list: [...list.slice(-3), { id: next, text, bad }], next: next + 1 });
  if (!bad) setTimeout(() => dismiss(next), noticeTime);
}

function dismiss(id) { notices.set({ list: notices.value.list.filter((n) => n.id !== id) }); }

export function Notices() {
  const { list } = useStore(notices);
  return html`<div class="notices" role="log" aria-label="What came of what you asked for">${list.map((n) => html`<div key=${n.id} class=${n.bad ? 'notice bad' : 'notice'}>
    <${Shape} state=${n.bad ? 'failed' : 'done'}/><span>${n.text}</span><button class="plain" aria-label="Dismiss" onClick=${() => dismiss(n.id)}>×</button></div>`)}</div>`;
}

// asked is the question that is open.
const asked = new Store({ question: null });

export function Question() {
  const { question } = useStore(asked);
  const dialog = useRef(null);
  useLayoutEffect(() => { if (question && !dialog.current.open) dialog.current.showModal(); }, [question]);
  if (!question) return null;
  const close = () => { dialog.current.close(); asked.set({ question: null }); };
  const yes = () => { close(); question.act(); };
  return html`<dialog ref=${dialog} aria-labelledby="question" onCancel=${close}><h2 id="question">${question.title}</h2><p>${question.text}</p>
    <div class="buttons"><button onClick=${close} autofocus>Leave it</button><button class=${question.grave ? 'grave' : 'main'} onClick=${yes}>${question.verb}</button></div></dialog>`;
}

// Act is a button that asks the cluster for a change: first the person, if there is a question.
export function Act({ path, label, title, text, grave, done, after, disabled, about }) {
  const [busy, setBusy] = useState(false);
  const act = async () => {
    setBusy(true);
    try {
      const answer = await post(path);
      notify(typeof done === 'function' ? done(answer) : done);
      after?.(answer);
    } catch (error) {
      notify(`${label}: ${error.message}`, true);
    } finally {
      setBusy(false);
    }
  };
  const press = () => (text ? asked.set({ question: { title, text, verb: label, grave, act } }) : act());
  return html`<button class=${grave ? 'grave quiet' : ''} disabled=${disabled || busy} aria-label=${about ? `${label} ${about}` : undefined} onClick=${press}>${busy ? '…' : label}</button>`;
}

// useNow draws again every so often, for texts like "3 s ago".
export function useNow(every = 1000) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) tick((n) => n + 1); }, every);
    return () => clearInterval(timer);
  }, [every]);
}

const rowsAround = 8; // drawn above and below what is seen

// Rows draws only those rows of a long list that are seen. All are rowHeight high. It is a table to readers of screens,
// with the number of all its rows.
export function Rows({ list, columns, row, rowHeight = 30, label }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  useLayoutEffect(() => {
    const room = box.current;
    const see = () => setView({ top: room.scrollTop, height: room.clientHeight });
    see();
    const watch = new ResizeObserver(see);
    watch.observe(room);
    return () => watch.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(view.top / rowHeight) - rowsAround);
  const last = Math.min(list.length, Math.ceil((view.top + view.height) / rowHeight) + rowsAround);
  const shown = [];
  for (let i = first; i < last; i++) {
    shown.push(html`<div class="row" role="row" key=${list[i].id} aria-rowindex=${i + 2} style=${{ top: `${i * rowHeight}px`, height: `${rowHeight}px` }}>
      ${row(list[i]).map((cell, c) => html`<span role="cell" class=${columns[c].kind || ''}>${cell}</span>`)}</div>`);
  }
  return html`<div class="rows" role="table" tabindex="0" aria-label=${label} aria-rowcount=${list.length + 1} ref=${box} onScroll=${(e) => setView({ top: e.target.scrollTop, height: e.target.clientHeight })}>
    <div class="row header" role="row" aria-rowindex="1">${columns.map((c) => html`<span role="columnheader" class=${c.kind || ''}>${c.name}</span>`)}</div>
    <div role="rowgroup" class="all" style=${{ height: `${list.length * rowHeight}px` }}>${shown}</div></div>`;
}
