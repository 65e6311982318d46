// Workers: what each may take, what it runs, when it was last heard.

import { html, useState } from './base.js';
import { useStore } from './store.js';
import { cluster } from './cluster.js';
import { Page, Loading, Trouble, State, Meter, Rows, Act, Empty, useNow } from './parts.js';
import { Time, ago, plural, number } from './format.js';

const columns = [{ name: 'Worker', kind: 'grow' }, { name: 'State', kind: 'c-state' }, { name: 'Slots in use', kind: 'c-bar' }, { name: 'Jobs', kind: 'num c-num' }, { name: 'Last beat', kind: 'c-beat num' }, { name: 'Queues', kind: 'c-needs' }, { name: 'Labels', kind: 'c-needs' }, { name: 'Joined', kind: 'c-beat' }, { name: 'Action', kind: 'c-act' }];

function row(w) {
  const labels = Object.entries(w.labels || {}).map(([k, v]) => `${k}=${v}`).join(', ');
  return [
    html`<bdi class="name" title=${`${w.name} ${w.id}`}>${w.name}</bdi>`, html`<${State} state=${w.state}/>`,
    html`<${Meter} value=${w.used} max=${w.slots} label=${`Slots of ${w.name} in use`} text=${`${w.used} of ${w.slots}`}/>`,
    number(w.running), w.state === 'lost' ? '–' : ago(w.last_beat), html`<bdi title=${w.queues.join(', ')}>${w.queues.join(', ')}</bdi>`, html`<bdi title=${labels}>${labels}</bdi>`, html`<${Time} at=${w.joined}/>`,
    w.state === 'alive' ? html`<${Act} path=${`v1/workers/${w.id}/drain`} label="Drain" about=${w.name} title=${`Drain ${w.name}?`} text="It gets no further jobs; what it runs goes on to its end." done=${`${w.name} is draining.`}/>`
      : w.state === 'draining' ? html`<${Act} path=${`v1/workers/${w.id}/undrain`} label="Undrain" about=${w.name} done=${`${w.name} gets jobs again.`}/>` : '',
  ];
}

export function Workers() {
  useNow();
  const { status, error, at } = useStore(cluster);
  const [text, setText] = useState('');
  const [lost, setLost] = useState(false);
  if (!status) return html`<${Page} title="Workers"><${Loading} error=${error} what="workers"/><//>`;
  const want = text.toLowerCase();
  const gone = status.workers.filter((w) => w.state === 'lost').length;
  const list = status.workers.filter((w) => (lost || w.state !== 'lost') && (!want || w.name.toLowerCase().includes(want) || w.id.includes(want)));
  return html`<${Page} title="Workers" aside=${html`<span class="muted">${plural(status.workers.length - gone, 'worker')}${gone ? `, ${gone} lost or left` : ''}</span>`}>
    <div class="filters"><label>Find <input data-search type="search" value=${text} onInput=${(e) => setText(e.target.value)} placeholder="name or id" spellcheck="false"/></label>
      <label><input type="checkbox" checked=${lost} onChange=${(e) => setLost(e.target.checked)}/> also those that are lost or have left</label></div>
    <${Trouble} error=${error} at=${at}/>
    ${list.length ? html`<${Rows} list=${list} columns=${columns} row=${row} rowHeight=${38} label="Workers"/>` : html`<${Empty}>${status.workers.length ? 'No worker is like that.' : html`No worker has joined. Start one: <code>muster worker --join …</code>`}<//>`}
  <//>`;
}
