// Sessions: groups of requests.

import { html, useState } from './base.js';
import { get } from './client.js';
import { usePoll } from './poll.js';
import { Page, Loading, Trouble, State, Name, Act, Empty } from './parts.js';
import { Time, number } from './format.js';

const pageSize = 100;

export function Sessions() {
  const [places, setPlaces] = useState(['']);
  const after = places[places.length - 1];
  const { data, error, at, again } = usePoll((signal) => get(`v1/sessions?limit=${pageSize}${after && `&after=${after}`}`, { signal }), 3000, [after]);
  return html`<${Page} title="Sessions"><${Trouble} error=${data && error} at=${at}/>
    ${!data ? html`<${Loading} error=${error} what="sessions"/>` : data.sessions.length === 0 ? html`<${Empty}>No session yet: the first request opens one.<//>` : html`
    <div class="scroller" tabindex="0" role="region" aria-label="Sessions"><table><thead><tr><th>Name</th><th>Session</th><th>State</th><th class="num">Requests</th><th class="num">Not ended</th><th>Opened</th><th><span class="hidden">Action</span></th></tr></thead>
      <tbody>${data.sessions.map((s) => html`<tr key=${s.id}><th scope="row"><${Name} href=${`#/requests?session=${s.id}`} title=${s.name}>${s.name}<//></th><td class="code">${s.id}</td><td><${State} state=${s.state}/></td><td class="num">${number(s.requests)}</td><td class="num">${number(s.live)}</td><td><${Time} at=${s.created}/></td>
        <td class="num">${s.state === 'open' && html`<${Act} path=${`v1/sessions/${s.id}/close`} label="Close" about=${s.name} title=${`Close ${s.name}?`} text="It takes no further requests; what runs goes on." done=${`${s.name} is closed.`} after=${again}/>`}</td></tr>`)}</tbody></table></div>`}
    ${(places.length > 1 || data?.next) && html`<nav class="pager" aria-label="Pages"><button disabled=${places.length === 1} onClick=${() => setPlaces(places.slice(0, -1))}>Older</button><span class="muted">page ${places.length}</span><button disabled=${!data?.next} onClick=${() => setPlaces([...places, data.next])}>Newer</button></nav>`}
  <//>`;
}
