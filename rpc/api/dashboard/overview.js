// Overview: is the cluster well, and what does it do?

import { html, useMemo } from './base.js';
import { useStore } from './store.js';
import { cluster, ended, total } from './cluster.js';
import { get } from './client.js';
import { usePoll } from './poll.js';
import { Chart } from './chart.js';
import { Members, Quorum } from './members.js';
import { Page, Loading, State, Counts, Empty, states, useNow } from './parts.js';
import { RequestTable } from './requests.js';
import { number, duration, plural } from './format.js';

const smoothed = 5; // readings that the figure beside a chart is the mean of

function recent(values) {
  const known = values.slice(-smoothed).filter((v) => v != null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
}

function Live({ history }) {
  const [times, rates, ms] = useMemo(() => [history.map((h) => h.t), history.map((h) => h.rate), history.map((h) => h.ms)], [history]);
  const rate = recent(rates);
  const wait = recent(ms);
  const rateText = rate == null ? '–' : rate < 10 ? rate.toFixed(1) : number(Math.round(rate));
  return html`
    <section class="card" aria-label="Throughput"><h2>Throughput</h2><p class="big"><span>${rateText}</span> jobs ended a second</p>
      <${Chart} times=${times} values=${rates} label=${`Jobs that ended each second over the last two minutes; now ${rateText}.`}/></section>
    <section class="card" aria-label="Time to answer"><h2>Time to answer</h2><p class="big"><span>${duration(wait)}</span> for a linearizable read from here</p>
      <${Chart} times=${times} values=${ms} unit=" ms" tone="--done" label=${`Time that a linearizable read took from this browser over the last two minutes; now ${duration(wait)}.`}/></section>`;
}

function Jobs({ counts }) {
  return html`<section class="card" aria-label="Jobs by state"><h2>Jobs</h2><p class="big"><span>${number(total(counts))}</span> kept, ${number(total(counts) - ended(counts))} to do</p>
    <${Counts} counts=${counts} label="All jobs"/>
    <ul class="legend">${states.map((s) => html`<li key=${s}><${State} state=${s}/><span class="num">${number(counts[s])}</span></li>`)}</ul></section>`;
}

function Work({ workers }) {
  const alive = workers.filter((w) => w.state !== 'lost');
  const slots = alive.reduce((n, w) => n + w.slots, 0);
  const used = alive.reduce((n, w) => n + w.used, 0);
  const draining = alive.filter((w) => w.state === 'draining').length;
  return html`<a class="card link" href="#/workers"><h2>Workers</h2><p class="big"><span>${number(alive.length)}</span> ${alive.length === 1 ? 'worker' : 'workers'}</p>
    <p class="muted">${number(used)} of ${plural(slots, 'slot')} in use${draining ? `, ${draining} draining` : ''}</p></a>`;
}

export function Overview() {
  useNow();
  const { status, error, history } = useStore(cluster);
  const recentRequests = usePoll((signal) => get('v1/requests?limit=8', { signal }), 2000, []);
  if (!status) return html`<${Page} title="Overview"><${Loading} error=${error} what="the cluster’s status"/><//>`;
  return html`<${Page} title="Overview">
    <div class="cards three">
      <section class="card" aria-label="Leader"><h2>Leader</h2><p class="big name"><span>${status.leader ? status.leader.name : 'none'}</span></p>
        <p class="muted">${status.leader ? `term ${number(status.leader.term)} · ${status.leader.http || status.leader.address}` : 'an election is under way, or there is no majority'}</p></section>
      <section class="card" aria-label="Health"><h2>Health</h2><p class="big"><${State} state=${status.health}/></p><p class="muted"><${Quorum} status=${status}/></p></section>
      <${Work} workers=${status.workers}/>
    </div>
    <div class="cards three wide"><${Live} history=${history}/><${Jobs} counts=${status.jobs}/></div>
    <section class="block"><h2>Coordinators</h2><${Members} status=${status}/></section>
    <section class="block"><div class="blockhead"><h2>Newest requests</h2><a href="#/requests">All requests</a></div>
      ${recentRequests.data ? (recentRequests.data.requests.length ? html`<${RequestTable} list=${recentRequests.data.requests} label="Newest requests"/>`
        : html`<${Empty}>No request yet. Try: <code>muster run -- echo hello</code><//>`) : html`<${Loading} error=${recentRequests.error} what="requests"/>`}</section>
  <//>`;
}
