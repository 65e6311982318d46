// One job: what it is, what became of it, what it said.

import { html, useState, useEffect, useRef, useLayoutEffect } from './base.js';
import { get, call, watch, sleep, shown, Problem } from './client.js';
import { usePoll } from './poll.js';
import { Page, Loading, Trouble, State, Meter, Name, Fact, Empty, useNow } from './parts.js';
import { Time, between, millis, duration, number, visible, needTexts } from './format.js';

const logMax = 256 << 10; // letters of output kept: its end
const needsMax = 20; // named
const over = (state) => state === 'done' || state === 'failed' || state === 'cancelled';

// useJob reads the job and its history, and again when an event is about it.
function useJob(id) {
  const state = usePoll(async (signal) => {
    const job = await get(`v1/jobs/${id}`, { signal });
    const [history, why] = await Promise.all([get(`v1/jobs/${id}/history`, { signal }), job.state === 'done' ? null : get(`v1/jobs/${id}/why`, { signal })]);
    return { job, history, why };
  }, 10000, [id]);
  const again = useRef(state.again);
  again.current = state.again;
  const request = state.data?.job.request;
  useEffect(() => {
    if (!request) return undefined;
    const end = new AbortController();
    let timer = null;
    (async () => {
      const from = (await call('GET', `v1/jobs/${id}`, { signal: end.signal })).headers.get('Muster-Index');
      await watch({
        query: { request }, from: Number(from), signal: end.signal,
        onEvents: (events) => {
          if (events.some((e) => e.job === id || e.type === 'reset')) timer ??= setTimeout(() => { timer = null; again.current(); }, 150);
        },
      });
    })().catch(() => {}); // it is read every ten seconds too
    return () => { end.abort(); clearTimeout(timer); };
  }, [id, request]);
  return state;
}

// attemptsOf puts the steps of a history together by attempt, the newest first.
function attemptsOf(history) {
  const list = [];
  for (const step of history.steps) {
    if (step.attempt === 0) continue;
    let a = list.find((x) => x.attempt === step.attempt);
    if (!a) list.unshift(a = { attempt: step.attempt, picked: '', started: '', ended: '', worker: '', last: step });
    if (step.state === 'picked' && step.worker) { a.picked ||= step.time; a.worker = step.worker; }
    if (step.state === 'running') { a.started ||= step.time; a.worker ||= step.worker; }
    if (step.state !== 'running' && step.state !== 'picked') a.ended ||= step.time;
    a.last = step;
  }
  return list;
}

function Attempts({ history, job }) {
  const list = attemptsOf(history);
  if (!list.length) return html`<${Empty}>It has not been picked yet.<//>`;
  return html`<div class="scroller" tabindex="0" role="region" aria-label="Attempts"><table><thead><tr><th class="num">Attempt</th><th>Came to</th><th>Worker</th><th>Picked</th><th>Started</th><th>Ended</th><th class="num">Ran</th><th class="num">Exit</th><th>Error</th></tr></thead>
    <tbody>${list.map((a) => html`<tr key=${a.attempt}><th scope="row" class="num">${a.attempt}</th><td><${State} state=${a.last.state} reason=${a.last.reason}/></td><td><bdi>${a.worker === job.worker ? job.worker_name || a.worker : a.worker}</bdi></td>
      <td><${Time} at=${a.picked} fine/></td><td><${Time} at=${a.started} fine/></td><td><${Time} at=${a.ended} fine/></td><td class="num">${between(a.started, a.ended)}</td><td class="num">${a.last.exit_code ?? ''}</td><td class="wrap"><bdi>${a.last.error || ''}</bdi></td></tr>`)}</tbody></table></div>`;
}

function History({ history }) {
  const first = history.steps.length ? millis(history.steps[0].time) : 0;
  return html`<div class="scroller tall" tabindex="0" role="region" aria-label="History"><table><thead><tr><th class="num">Log index</th><th>Time</th><th class="num">After</th><th>State</th><th class="num">Attempt</th><th class="num">Progress</th><th>Worker</th><th>Error</th></tr></thead>
    <tbody>${history.steps.map((s, i) => html`<tr key=${i}><td class="num code">${s.index}</td><td><${Time} at=${s.time} fine/></td><td class="num">${duration(millis(s.time) - first)}</td><td><${State} state=${s.state} reason=${s.reason}/></td>
      <td class="num">${s.attempt || ''}</td><td class="num">${s.progress ? `${s.progress} %` : ''}</td><td class="code">${s.worker || ''}</td><td class="wrap"><bdi>${s.error || ''}</bdi></td></tr>`)}</tbody></table></div>`;
}

// follow reads the output of an attempt as it grows, over lost connections, until it ends. say is told what is new, and
// what is wrong.
async function follow(path, signal, say) {
  let offset = 0;
  while (!signal.aborted) {
    await shown(signal);
    let began = false;
    try {
      const end = new AbortController();
      const hide = () => { if (document.hidden) end.abort(); };
      document.addEventListener('visibilitychange', hide);
      try {
        const response = await call('GET', `${path}&offset=${offset}&follow=true`, { signal: AbortSignal.any([signal, end.signal]), timeout: 24 * 3600000 });
        began = true;
        say({ error: null });
        const reader = response.body.getReader();
        const decode = new TextDecoder();
        for (;;) {
          const { value, done } = await reader.read();
          if (done) { say({ over: true }); return; }
          offset += value.length;
          say({ text: decode.decode(value, { stream: true }) });
        }
      } finally {
        document.removeEventListener('visibilitychange', hide);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status < 500) { say({ error: error.message, over: true }); return; }
      say({ error: began ? 'the connection was lost; trying again' : error.message });
    }
    await sleep(1000, signal);
  }
}

function Output({ job }) {
  const [stream, setStream] = useState(job.state === 'failed' ? 'stderr' : 'stdout');
  const [attempt, setAttempt] = useState(0);
  const [log, setLog] = useState({ text: '', error: null, over: false, cut: false });
  const box = useRef(null);
  const stuck = useRef(true); // to the end
  const shownAttempt = attempt || job.attempt;
  useEffect(() => {
    setLog({ text: '', error: null, over: false, cut: false });
    if (!shownAttempt) return undefined;
    const end = new AbortController();
    let waiting = '';
    let timer = null;
    const flush = () => {
      timer = null;
      const more = waiting;
      waiting = '';
      setLog((l) => { const text = l.text + more; return { ...l, text: text.slice(-logMax), cut: l.cut || text.length > logMax }; });
    };
    follow(`v1/jobs/${job.id}/logs?stream=${stream}&attempt=${shownAttempt}`, end.signal, (said) => {
      if (end.signal.aborted) return;
      if (said.text) { waiting = (waiting + said.text).slice(-2 * logMax); timer ??= setTimeout(flush, 100); }
      else setLog((l) => ({ ...l, ...said }));
    });
    return () => { end.abort(); clearTimeout(timer); };
  }, [job.id, stream, shownAttempt]);
  useLayoutEffect(() => { if (stuck.current && box.current) box.current.scrollTop = box.current.scrollHeight; }, [log.text]);
  const attempts = Array.from({ length: job.attempt }, (_, i) => job.attempt - i);
  return html`<section class="block"><div class="blockhead"><h2>Output</h2><span class="muted" role="status">${!shownAttempt ? 'not picked yet' : log.error || (log.over ? 'complete' : 'live')}${log.cut ? ' · only its end is shown' : ''}</span></div>
    <div class="filters"><fieldset class="segmented"><legend class="hidden">Stream</legend>${['stdout', 'stderr'].map((s) => html`<label key=${s}><input type="radio" name="stream" checked=${stream === s} onChange=${() => setStream(s)}/><span>${s}</span></label>`)}</fieldset>
      ${job.attempt > 1 && html`<label>Attempt <select value=${shownAttempt} onChange=${(e) => setAttempt(Number(e.target.value))}>${attempts.map((n) => html`<option key=${n} value=${n}>${n}</option>`)}</select></label>`}
      ${shownAttempt > 0 && html`<a href=${`v1/jobs/${job.id}/logs?stream=${stream}&attempt=${shownAttempt}`} target="_blank" rel="noopener">as plain text</a>`}</div>
    <pre class="log" tabindex="0" role="region" aria-label=${`Output, ${stream}`} ref=${box} onScroll=${(e) => { stuck.current = e.target.scrollHeight - e.target.scrollTop - e.target.clientHeight < 8; }}>${log.text ? visible(log.text) : html`<span class="muted">${log.error && log.over ? log.error : 'nothing was written'}</span>`}</pre></section>`;
}

function shownValue(value, encoding) {
  if (value === undefined) return null;
  if (typeof value === 'string') return encoding ? `${value}\n(${encoding})` : value;
  return JSON.stringify(value, null, 2);
}

function Value({ title, value, encoding }) {
  const text = shownValue(value, encoding);
  if (text === null) return null;
  return html`<section class="block"><h2>${title}</h2><pre class="value" tabindex="0" role="region" aria-label=${title}>${visible(text)}</pre></section>`;
}

// Why says what the job waits for, or what became of it.
function Why({ why }) {
  if (!why || !why.causes.length) return null;
  return html`<section class="block" aria-label="Why"><h2>Why</h2><ul class="why">${why.causes.map((c, i) => html`<li key=${i}><bdi>${c.text}</bdi>${(c.jobs || []).slice(0, needsMax).map((j) => html` <${Name} key=${j.id} href=${`#/jobs/${j.id}`}>${j.name}<//>`)}</li>`)}</ul></section>`;
}

export function Job({ id }) {
  useNow();
  const { data, error, at } = useJob(id);
  if (!data) return html`<${Page} title="Job" name=${id}><${Loading} error=${error} what="the job"/><//>`;
  const { job, history, why } = data;
  const needs = needTexts(job);
  return html`<${Page} title="Job" name=${job.name}>
    <p class="crumbs"><a href=${`#/requests/${job.request}`}>Request ${job.request}</a></p>
    <${Trouble} error=${error} at=${at}/>
    <div class="summary"><${State} state=${job.state} reason=${job.reason}/>${!over(job.state) && job.attempt > 0 && html`<${Meter} value=${job.progress} label="Progress" text=${`${job.progress} %`}/>`}
      ${job.progress_text && html`<bdi class="muted">${job.progress_text}</bdi>`}</div>
    ${job.error && html`<section class="errorbox" aria-label="Error"><h2>Error${job.exit_code != null ? ` · exit code ${job.exit_code}` : ''}</h2><pre><bdi>${visible(job.error)}</bdi></pre></section>`}
    <${Why} why=${why}/>
    <dl class="facts">
      <${Fact} name="Id"><span class="code">${job.id}</span><//>
      <${Fact} name="Attempt">${job.attempt || 'none yet'}${job.retries || job.lost ? ` · ${job.retries} retried, ${job.lost} lost` : ''}<//>
      <${Fact} name="Worker"><bdi>${job.worker_name || job.worker || '–'}</bdi><//>
      <${Fact} name="Submitted"><${Time} at=${job.times.submitted} fine/><//>
      <${Fact} name="Started"><${Time} at=${job.times.started} fine/><//>
      ${over(job.state) ? html`<${Fact} name="Ended"><${Time} at=${job.times.ended} fine/><//>` : ''}
      <${Fact} name=${over(job.state) ? 'Ran' : 'Runs for'}>${between(job.times.started, job.times.ended)}<//>
      ${job.times.not_before ? html`<${Fact} name="Not before"><${Time} at=${job.times.not_before} fine/><//>` : ''}
      ${job.exit_code != null ? html`<${Fact} name="Exit code">${job.exit_code}<//>` : ''}
      ${job.cause ? html`<${Fact} name="Because of"><${Name} href=${`#/jobs/${job.cause.id}`}>${job.cause.name}<//><//>` : ''}
      <${Fact} name="Needs">${needs.length ? html`<bdi>${needs.slice(0, needsMax).join(', ')}${needs.length > needsMax ? ` and ${number(needs.length - needsMax)} more` : ''}</bdi>` : 'nothing'}<//>
    </dl>
    <${Output} key=${job.id} job=${job}/>
    <section class="block"><h2>Attempts</h2><${Attempts} history=${history} job=${job}/></section>
    <div class="cards two"><${Value} title="Result" value=${job.result} encoding=${job.result_encoding}/><${Value} title="Payload" value=${job.payload}/></div>
    <${Value} title="Specification" value=${job.spec}/>
    <section class="block"><h2>History</h2><${History} history=${history}/></section>
  <//>`;
}
