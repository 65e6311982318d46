// Cluster: Raft, the coordinator that answers, and what operators need.

import { html } from './base.js';
import { useStore } from './store.js';
import { cluster } from './cluster.js';
import { base } from './client.js';
import { Members, Quorum } from './members.js';
import { Page, Loading, Trouble, State, Fact, useNow } from './parts.js';
import { Time, between, bytes, duration, goDuration, number } from './format.js';

export function Cluster() {
  useNow();
  const { status, error, at } = useStore(cluster);
  if (!status) return html`<${Page} title="Cluster"><${Loading} error=${error} what="the cluster’s status"/><//>`;
  const { raft } = status;
  return html`<${Page} title="Cluster" name=${status.cluster}><${Trouble} error=${error} at=${at}/>
    <dl class="facts">
      <${Fact} name="Health"><${State} state=${status.health}/><//>
      <${Fact} name="Quorum"><${Quorum} status=${status}/><//>
      <${Fact} name="Leader"><bdi>${status.leader?.name || 'none'}</bdi><//>
      <${Fact} name="Term">${number(status.leader?.term || raft.term)}<//>
      <${Fact} name="Waiting to be committed">${bytes(status.queue_bytes)}<//>
      <${Fact} name="Cluster id"><span class="code">${status.cluster_id || '–'}</span><//>
    </dl>
    <section class="block"><h2>Coordinators</h2><${Members} status=${status} full/></section>
    <section class="block"><h2>This coordinator: <bdi>${status.node_name}</bdi></h2><dl class="facts">
      <${Fact} name="Raft state">${raft.state}<//><${Fact} name="Term">${number(raft.term)}<//>
      <${Fact} name="Applied">${number(raft.applied)}<//><${Fact} name="Committed">${number(raft.committed)}<//><${Fact} name="Last in log">${number(raft.last)}<//>
      <${Fact} name="Heard the leader">${raft.last_contact ? `${duration(goDuration(raft.last_contact))} ago` : raft.state === 'leader' ? 'is the leader' : 'never'}<//>
      <${Fact} name="State hash"><span class="code">${raft.hash}</span> at ${number(raft.hash_index)}<//>
      <${Fact} name="Disk free">${bytes(status.disk_free_bytes)}<//>
      <${Fact} name="Version"><span class="code">${status.version}</span><//>
      <${Fact} name="Started"><${Time} at=${status.started}/> · up ${between(status.started)}<//>
      <${Fact} name="Address"><span class="code">${base()}</span><//></dl></section>
    <section class="block"><h2>For operators</h2><ul class="links">
      <li><a href="v1/operator/snapshot" download>Save a snapshot</a> <span class="muted">the whole state as a file with a checksum, as <code>muster operator snapshot save</code> does</span></li>
      <li><a href="metrics">Metrics</a> <span class="muted">of this coordinator, for Prometheus</span></li>
      <li><a href="v1/status">Status</a> <span class="muted">as JSON</span></li>
      <li><a href="v1/openapi.json">OpenAPI</a> <span class="muted">the interface for programs</span></li></ul></section>
  <//>`;
}
