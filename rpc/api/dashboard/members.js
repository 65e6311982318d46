// The coordinators of the cluster, as Overview and Cluster show them.

import { html } from './base.js';
import { State } from './parts.js';
import { goDuration, duration, number, plural } from './format.js';

// Quorum says in words how many coordinators may still fail.
export function Quorum({ status }) {
  const voters = status.coordinators.filter((c) => c.voter);
  const alive = voters.filter((c) => c.alive).length;
  const may = status.tolerates > 0 ? `${status.tolerates} more may fail` : 'none may fail';
  return html`${alive} of ${plural(voters.length, 'voter')} ${alive === 1 ? 'answers' : 'answer'}; ${may}`;
}

function lag(c, top) {
  if (!c.applied) return '–';
  const behind = Math.max(0, top - c.applied);
  return behind === 0 ? 'none' : plural(behind, 'entry', 'entries');
}

// Members lists them. Its figures are the leader's, or of who was asked when there is none.
export function Members({ status, full }) {
  const top = Math.max(status.raft.committed, ...status.coordinators.map((c) => c.applied || 0));
  return html`<div class="scroller" tabindex="0" role="region" aria-label="Coordinators"><table><thead><tr><th>Name</th><th>Role</th><th>State</th><th class="num">Applied</th><th class="num" title="what it had not applied when it was last heard">Lag</th><th class="num">Last contact</th><th>HTTP</th>${full && html`<th>RPC and Raft</th><th>Id</th>`}</tr></thead>
    <tbody>${[...status.coordinators].sort((a, b) => (a.name < b.name ? -1 : 1)).map((c) => html`<tr key=${c.id}>
      <th scope="row"><bdi class="name">${c.name || c.id}</bdi>${c.id === status.node ? html` <span class="tag" title="this page is served by it">here</span>` : ''}</th>
      <td>${c.leader ? html`<strong>leader</strong>` : c.voter ? 'follower' : 'learner'}</td>
      <td>${c.alive ? html`<${State} state="alive"/>` : html`<${State} state="failed"/> <span class="muted">does not answer</span>`}</td>
      <td class="num">${c.applied ? number(c.applied) : '–'}</td><td class="num">${c.alive ? lag(c, top) : '–'}</td>
      <td class="num">${c.leader ? '–' : c.last_contact ? `${duration(goDuration(c.last_contact))} ago` : c.alive ? '–' : 'never'}</td>
      <td>${c.http ? html`<a href=${`${location.protocol}//${c.http}/${location.hash}`}>${c.http}</a>` : '–'}</td>
      ${full && html`<td class="code">${c.rpc}</td><td class="code">${c.id}</td>`}</tr>`)}</tbody></table></div>`;
}
