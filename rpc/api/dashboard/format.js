// How numbers, times and texts are written.

import { html } from './base.js';

const grouped = new Intl.NumberFormat('en-US');

export const number = (n) => grouped.format(n);

export const plural = (n, word, more = `${word}s`) => `${number(n)} ${n === 1 ? word : more}`;

// duration writes milliseconds as people say them.
export function duration(ms) {
  if (ms == null || Number.isNaN(ms)) return '–';
  if (ms < 0) ms = 0;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const unitMs = { h: 3600000, m: 60000, s: 1000, ms: 1, µs: 0.001, us: 0.001, ns: 0.000001 };

// goDuration reads a Go duration like 1m30.5s as milliseconds.
export function goDuration(text) {
  if (!text) return null;
  let ms = 0;
  for (const [, n, unit] of text.matchAll(/([\d.]+)(h|ms|m|µs|us|ns|s)/g)) ms += Number(n) * unitMs[unit];
  return ms;
}

export const millis = (time) => (time ? Date.parse(time) : NaN);

// between is how long it took from one time to the other, or to now.
export const between = (from, to) => (from ? duration((to ? millis(to) : Date.now()) - millis(from)) : '–');

const two = (n) => String(n).padStart(2, '0');

function clock(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

// Time shows a moment in the reader's own time zone: without the day if it is today.
export function Time({ at, fine }) {
  if (!at) return '–';
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  const day = today ? '' : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} `;
  const ms = fine ? `.${String(date.getMilliseconds()).padStart(3, '0')}` : '';
  return html`<time datetime=${at} title=${at}>${day}${clock(date)}${ms}</time>`;
}

export function ago(time) {
  return time ? `${duration(Date.now() - millis(time))} ago` : '–';
}

export function bytes(n) {
  if (n == null) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[i]}`;
}

// visible makes text that a terminal would act on readable: colours go, other control characters show as pictures.
export function visible(text) {
  return text
    .replace(/\x1b\[[0-9;:?]*[A-Za-z]/g, '')
    .replace(/\r\n/g, '\n')
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u202a-\u202e\u2066-\u2069]/g, '\ufffd'); // would turn the reading direction of what follows
}

const needText = (need) => (typeof need === 'string' ? need : need.when && need.when !== 'done' ? `${need.job} (${need.when})` : need.job);

// needTexts names what a job needs; what begins with "or" is one of several, of which one is enough.
export function needTexts(job) {
  const any = job.needs_any || [];
  return [...job.needs.map(needText), ...any.map((n, i) => (i === 0 ? 'any of ' : 'or ') + needText(n))];
}
