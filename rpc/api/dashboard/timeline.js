// When each job of a request ran, and on which worker.

import { html, useMemo, useState } from './base.js';
import { pages } from './client.js';
import { usePoll } from './poll.js';
import { Loading, Empty } from './parts.js';
import { duration, millis, number } from './format.js';

const jobsMax = 1000; // drawn
const pageSize = 500;
const every = 3000; // ms between readings while the request runs
const barMin = 0.15; // percent of the width
const rowHeight = 20;
const pathMax = 12; // jobs of the critical path that are named

async function read(id, signal) {
  const jobs = [];
  await pages(`v1/requests/${id}/jobs`, { limit: pageSize }, (doc) => {
    jobs.push(...doc.jobs);
    return jobs.length < jobsMax;
  }, signal);
  return jobs.slice(0, jobsMax);
}

const needName = (need) => (typeof need === 'string' ? need : need.job);

// criticalPath goes back from the job that ended last, each time to the need that ended last: what had to be faster for
// the request to end sooner.
function criticalPath(bars) {
  const byName = new Map(bars.filter((b) => b.ended).map((b) => [b.job.name, b]));
  const path = [];
  let at = [...byName.values()].reduce((last, b) => (!last || b.to > last.to ? b : last), null);
  while (at && path.length < bars.length) {
    path.unshift(at);
    const needs = [...at.job.needs, ...(at.job.needs_any || [])].map((n) => byName.get(needName(n))).filter(Boolean);
    at = needs.reduce((last, b) => (!last || b.to > last.to ? b : last), null);
  }
  return path;
}

// plan puts each job's last attempt into a row of its worker in which nothing else runs at that time.
function plan(jobs, whole, now) {
  const bars = jobs.filter((j) => j.times.started).map((job) => ({
    job, from: millis(job.times.started), to: job.times.ended ? millis(job.times.ended) : now, ended: Boolean(job.times.ended),
  })).sort((a, b) => a.from - b.from);
  const workers = new Map();
  for (const bar of bars) {
    const name = bar.job.worker_name || bar.job.worker;
    if (!workers.has(name)) workers.set(name, []);
    const rows = workers.get(name);
    bar.row = rows.findIndex((end) => end <= bar.from);
    if (bar.row < 0) bar.row = rows.push(0) - 1;
    rows[bar.row] = bar.to;
    bar.worker = name;
  }
  return {
    bars, path: whole ? criticalPath(bars) : [],
    workers: [...workers].map(([name, rows]) => ({ name, rows: rows.length })).sort((a, b) => (a.name < b.name ? -1 : 1)),
    from: Math.min(...bars.map((b) => b.from)), to: Math.max(...bars.map((b) => b.to)),
  };
}

function Bars({ jobs, request }) {
  const { bars, path, workers, from, to } = useMemo(() => plan(jobs, request.jobs <= jobsMax, Date.now()), [jobs]);
  if (!bars.length) return html`<${Empty}>No job has started yet.<//>`;
  const span = Math.max(1, to - from);
  const on = new Set(path);
  const named = path.slice(-pathMax);
  return html`<div class="timeline" role="region" tabindex="0" aria-label="Timeline by worker">
    <div class="lane axis"><span></span><span class="ticks">${[0, 0.25, 0.5, 0.75, 1].map((f) => html`<span key=${f} style=${{ left: `${100 * f}%` }}>${duration(span * f)}</span>`)}</span></div>
    ${workers.map((w) => html`<div class="lane" key=${w.name}><bdi class="who" title=${w.name}>${w.name}</bdi><span class="field" style=${{ height: `${w.rows * rowHeight}px` }}>
      ${bars.filter((b) => b.worker === w.name).map((b) => html`<a key=${b.job.id} href=${`#/jobs/${b.job.id}`} class=${`span s-${b.job.state} ${on.has(b) ? 'critical' : ''}`}
        title=${`${b.job.name}, ${b.job.state}, ${duration(b.to - b.from)}${on.has(b) ? ', on the critical path' : ''}`}
        style=${{ left: `${(100 * (b.from - from)) / span}%`, width: `${Math.max(barMin, (100 * (b.to - b.from)) / span)}%`, top: `${b.row * rowHeight}px` }}>${b.job.name}</a>`)}</span></div>`)}</div>
    <p class="muted">Last attempt of each job${request.jobs > jobsMax ? `; the first ${number(jobsMax)} of ${number(request.jobs)} jobs` : ''}.
      ${path.length > 1 ? html` Critical path${request.state === 'running' ? ' so far' : ''}: <bdi>${path.length > pathMax ? '… → ' : ''}${named.map((b) => b.job.name).join(' → ')}</bdi>` : ''}</p>`;
}

function Read({ request }) {
  const { data, error } = usePoll((signal) => read(request.id, signal), request.state === 'running' ? every : 0, [request.id, request.state]);
  if (!data) return html`<${Loading} error=${error} what="when jobs ran"/>`;
  return html`<${Bars} jobs=${data} request=${request}/>`;
}

// Timeline reads nothing until it is opened.
export function Timeline({ request }) {
  const [open, setOpen] = useState(false);
  return html`<details class="block" onToggle=${(e) => setOpen(e.target.open)}><summary><h2>Timeline</h2></summary>${open && html`<${Read} request=${request}/>`}</details>`;
}
