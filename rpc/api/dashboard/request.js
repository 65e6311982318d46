// One request: its DAG as it moves, and its jobs.

import { html, useState, useEffect, useMemo, useRef } from './base.js';
import { RequestModel } from './model.js';
import { Graph } from './graph.js';
import { Timeline } from './timeline.js';
import { get } from './client.js';
import { ended } from './cluster.js';
import { Page, Loading, Trouble, State, Counts, Meter, Name, Rows, Fact, Act, Empty, states, useNow } from './parts.js';
import { Time, between, number, plural, needTexts } from './format.js';

const textMax = 4; // needs named in a row
const searchMax = 1000; // jobs of a state that are asked for when not all were read

function useModel(id) {
  const [version, draw] = useState(0);
  const model = useRef(null);
  if (model.current?.id !== id) {
    model.current?.close();
    model.current = new RequestModel(id, () => draw((n) => n + 1));
  }
  useEffect(() => () => { model.current.close(); model.current = null; }, [id]);
  return [model.current, version];
}

const columns = [{ name: 'Job', kind: 'grow' }, { name: 'State', kind: 'c-state' }, { name: 'Progress', kind: 'c-bar' }, { name: 'Attempt', kind: 'num c-num' }, { name: 'Worker', kind: 'c-worker' }, { name: 'Needs', kind: 'c-needs' }];

function row(job) {
  const all = needTexts(job);
  const needs = all.slice(0, textMax).join(', ');
  const more = all.length > textMax ? ` and ${all.length - textMax} more` : '';
  return [
    html`<${Name} href=${`#/jobs/${job.id}`} title=${job.name}>${job.name}<//>`,
    html`<${State} state=${job.state} reason=${job.reason}/>`,
    job.state === 'running' || job.state === 'done' ? html`<${Meter} value=${job.state === 'done' ? 100 : job.progress} label=${`Progress of ${job.name}`} text=${`${job.state === 'done' ? 100 : job.progress} %`} kind=${job.state}/>` : '',
    job.attempt || '', html`<bdi>${job.worker || ''}</bdi>`, html`<bdi title=${needs + more}>${needs}${more}</bdi>`,
  ];
}

// Jobs lists the jobs that were read. When there are more, those of a state are asked for.
function Jobs({ model, version, group, clear }) {
  const [text, setText] = useState('');
  const [state, setState] = useState('');
  const [found, setFound] = useState(null); // jobs of the state, when not all were read
  const [busy, setBusy] = useState(false);
  const partial = model.next !== '';
  useEffect(() => {
    setFound(null);
    if (!partial || !state) return undefined;
    const end = new AbortController();
    get(`v1/requests/${model.id}/jobs?state=${state}&limit=${searchMax}`, { signal: end.signal, timeout: 30000 })
      .then((doc) => setFound(doc.jobs.map((j) => ({ ...j, worker: j.worker_name })))).catch(() => {});
    return () => end.abort();
  }, [state, partial]);
  const list = useMemo(() => {
    const want = text.toLowerCase();
    return (found || (group ? group.members : model.nodes)).filter((j) => (!state || j.state === state) && (!want || j.name.toLowerCase().includes(want) || j.id.includes(want)));
  }, [version, model.loaded, group, text, state, found]);
  const more = async () => {
    setBusy(true);
    await model.more().catch(() => {});
    setBusy(false);
  };
  return html`<section class="block"><div class="blockhead"><h2>Jobs</h2>
      <span class="muted" role="status">${list.length === model.request.jobs ? plural(list.length, 'job') : `${number(list.length)} of ${plural(model.request.jobs, 'job')}`}${found && list.length >= searchMax ? ' (the first of that state)' : ''}</span></div>
    <div class="filters"><label>Find <input data-search type="search" value=${text} onInput=${(e) => setText(e.target.value)} placeholder="name or id" spellcheck="false"/></label>
      <label>State <select value=${state} onChange=${(e) => setState(e.target.value)}><option value="">all</option>${states.map((s) => html`<option key=${s} value=${s}>${s}</option>`)}</select></label>
      ${group && html`<button class="chip" onClick=${clear}>only <bdi>${group.label}</bdi> ×</button>`}
      ${partial && html`<button disabled=${busy} onClick=${more}>${busy ? 'Reading …' : `Read more: ${number(model.nodes.length)} of ${number(model.request.jobs)} are here`}</button>`}</div>
    ${list.length ? html`<${Rows} list=${list} columns=${columns} row=${row} label="Jobs"/>` : html`<${Empty}>No job is like that.<//>`}</section>`;
}

export function Request({ id, go }) {
  useNow();
  const [model, version] = useModel(id);
  const [group, pick] = useState(null);
  useEffect(() => pick(null), [id, model.loaded]);
  const r = model.request;
  if (!r || model.loaded === 0) return html`<${Page} title="Request" name=${id}><${Loading} error=${model.error} what="the request"/><//>`;
  const again = () => model.reload();
  const counts = model.counts || r.counts;
  const over = ended(counts);
  const live = r.state === 'running';
  const redo = counts.failed > 0 || (!live && counts.cancelled > 0);
  return html`<${Page} title="Request" name=${r.name || r.id} aside=${html`
      ${live && (r.pause ? html`<${Act} path=${`v1/requests/${id}/resume`} label="Resume" done="Its jobs go to workers again." after=${again}/>`
    : html`<${Act} path=${`v1/requests/${id}/pause`} label="Pause" title=${`Pause ${r.name || id}?`} text="Its jobs are kept from workers; what runs goes on." done="The request is paused." after=${again}/>`)}
      ${redo && html`<${Act} path=${`v1/requests/${id}/retry`} label="Retry" title=${`Retry ${r.name || id}?`} text=${`Puts ${plural(counts.failed, 'failed job')} to work again, and what was cancelled because of them.`}
        done=${(a) => `${plural(a.revived, 'job')} put to work again.`} after=${again}/>`}
      ${live && html`<${Act} path=${`v1/requests/${id}/cancel`} label="Cancel" grave title=${`Cancel ${r.name || id}?`} text=${`Cancels ${plural(r.jobs - over, 'job')} that ${r.jobs - over === 1 ? 'has' : 'have'} not ended; what runs is stopped.`}
        done="The request is cancelled." after=${again}/>`}`}>
    <${Trouble} error=${model.error} at="1"/>
    <div class="summary"><${State} state=${r.state} reason=${r.pause}/><span class="sumbar"><${Counts} counts=${counts} label="Jobs by state"/></span><span class="num">${number(over)} of ${plural(r.jobs, 'job')} ended</span></div>
    <ul class="legend inline">${states.filter((s) => counts[s] > 0).map((s) => html`<li key=${s}><${State} state=${s}/><span class="num">${number(counts[s])}</span></li>`)}</ul>
    <dl class="facts">
      <${Fact} name="Id"><span class="code">${r.id}</span><//>
      <${Fact} name="Session"><${Name} href=${`#/requests?session=${r.session}`}>${r.session_name}<//><//>
      <${Fact} name="Submitted"><${Time} at=${r.created}/><//>
      <${Fact} name=${live ? 'Runs for' : 'Took'}>${between(r.created, r.ended)}<//>
      <${Fact} name="On failure">${r.on_failure === 'stop' ? 'stop the request' : 'cancel dependents'}<//>
      ${r.max_running ? html`<${Fact} name="At most running">${number(r.max_running)}<//>` : ''}
      <${Fact} name="Log index">${number(r.index)}<//>
      ${r.idempotency_key ? html`<${Fact} name="Idempotency key"><bdi class="code">${r.idempotency_key}</bdi><//>` : ''}
      ${r.reason ? html`<${Fact} name="Why"><bdi>${r.reason}</bdi><//>` : ''}
    </dl>
    <${Graph} nodes=${model.nodes} loaded=${model.loaded} version=${version} lag=${model.lag} go=${go} pick=${pick} picked=${group}/>
    <${Timeline} request=${r}/>
    <${Jobs} model=${model} version=${version} group=${group} clear=${() => pick(null)}/>
  <//>`;
}
