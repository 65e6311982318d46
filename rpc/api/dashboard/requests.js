// Requests: the list, newest first, with filters and pages.

import { html, useState, useEffect } from './base.js';
import { get } from './client.js';
import { usePoll } from './poll.js';
import { ended } from './cluster.js';
import { Page, Loading, Trouble, State, Counts, Name, Empty } from './parts.js';
import { Time, between, number } from './format.js';

const pageSize = 50;

export function RequestTable({ list, label }) {
  return html`<div class="scroller" tabindex="0" role="region" aria-label=${label}><table class="fixed"><thead><tr><th class="w-id">Request</th><th>Name</th><th class="w-session">Session</th><th class="w-state">State</th><th class="w-bar">Progress</th><th class="num w-num">Jobs</th><th class="w-time">Submitted</th><th class="num w-num">Took</th></tr></thead>
    <tbody>${list.map((r) => html`<tr key=${r.id}>
      <th scope="row" class="code"><a href=${`#/requests/${r.id}`}>${r.id}</a></th>
      <td>${r.name ? html`<${Name} href=${`#/requests/${r.id}`} title=${r.name}>${r.name}<//>` : html`<span class="muted">–</span>`}</td>
      <td><${Name} href=${`#/requests?session=${r.session}`} title=${r.session_name}>${r.session_name}<//></td>
      <td><${State} state=${r.state} reason=${r.pause}/></td>
      <td><span class="bar"><${Counts} counts=${r.counts} label=${`Jobs of ${r.id}`}/><span class="beside">${Math.floor((100 * ended(r.counts)) / Math.max(1, r.jobs))} %</span></span></td>
      <td class="num">${number(r.jobs)}</td><td><${Time} at=${r.created}/></td><td class="num">${between(r.created, r.ended)}</td></tr>`)}</tbody></table></div>`;
}

// Requests keeps its filters in the address, so that they can be passed on. Pages are by id, which is by age.
export function Requests({ query, go }) {
  const [places, setPlaces] = useState(['']); // the "after" of each page up to this one
  const session = query.get('session') || '';
  const state = query.get('state') || '';
  const after = places[places.length - 1];
  useEffect(() => setPlaces(['']), [session, state]);
  const read = (signal) => {
    const q = new URLSearchParams({ limit: pageSize, ...(session && { session }), ...(state && { state }), ...(after && { after }) });
    return get(`v1/requests?${q}`, { signal });
  };
  const { data, error, at } = usePoll(read, 2000, [session, state, after]);
  const sessions = usePoll((signal) => get('v1/sessions?limit=1000', { signal }), 10000, []);
  const find = (event) => {
    event.preventDefault();
    const id = new FormData(event.target).get('id').trim();
    if (/^j\d+-\d+$/.test(id)) go(`#/jobs/${id}`);
    else if (id) go(`#/requests/${encodeURIComponent(id)}`);
  };
  const filter = (change) => {
    const q = new URLSearchParams(Object.entries({ session, state, ...change }).filter(([, v]) => v));
    go(`#/requests${q.size ? `?${q}` : ''}`);
  };
  const known = sessions.data?.sessions || [];
  return html`<${Page} title="Requests">
    <div class="filters">
      <label>State <select value=${state} onChange=${(e) => filter({ state: e.target.value })}><option value="">all</option>
        ${['running', 'done', 'failed', 'cancelled'].map((s) => html`<option key=${s} value=${s}>${s}</option>`)}</select></label>
      <label>Session <select value=${session} onChange=${(e) => filter({ session: e.target.value })}><option value="">all</option>
        ${session && !known.some((s) => s.id === session) && html`<option value=${session}>${session}</option>`}
        ${known.map((s) => html`<option key=${s.id} value=${s.id}>${s.name}</option>`)}</select></label>
      <form onSubmit=${find} role="search"><label>Go to <input name="id" data-search placeholder="r… or j… (id)" size="18" autocomplete="off" spellcheck="false"/></label> <button>Go</button></form>
    </div>
    <${Trouble} error=${data && error} at=${at}/>
    ${!data ? html`<${Loading} error=${error} what="requests"/>` : data.requests.length === 0
      ? html`<${Empty}>${session || state || places.length > 1 ? 'No request is like that.' : html`No request yet. Try: <code>muster submit FILE</code>`}<//>`
      : html`<${RequestTable} list=${data.requests} label="Requests"/>`}
    <nav class="pager" aria-label="Pages"><button disabled=${places.length === 1} onClick=${() => setPlaces(places.slice(0, -1))}>Newer</button>
      <span class="muted">page ${places.length}</span><button disabled=${!data?.next} onClick=${() => setPlaces([...places, data.next])}>Older</button></nav>
  <//>`;
}
