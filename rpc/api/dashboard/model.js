// A request as its page keeps it: read once, then kept up to date by events.

import { get, pages, watch, sleep } from './client.js';

const jobsMax = 20000; // read at first; more when asked for
const pageSize = 10000;
const drawEvery = 100; // ms: events come faster than anybody sees
const requestEvery = 1000; // ms between readings of the request itself while its jobs move
const terminal = new Set(['done', 'failed', 'cancelled']);

export class RequestModel {
  request = null;
  nodes = []; // jobs: {id, name, state, reason, attempt, progress, needs, worker, group}
  byId = new Map();
  next = ''; // more jobs are to be had after that
  error = null;
  counts = null; // of the jobs, when all were read: they move with the events
  loaded = 0; // counts how often all was read: what is made of the jobs' needs is to be made anew
  lag = null; // ms from an event's time to its being drawn, if the clocks agree

  #draw;
  #refreshing = null;
  #timer = null;
  #end = new AbortController();
  #late = null; // the oldest event that is not drawn yet

  constructor(id, draw) {
    this.id = id;
    this.#draw = draw;
    this.#run();
  }

  close() {
    this.#end.abort();
    clearTimeout(this.#timer);
  }

  get done() { return this.request && this.request.state !== 'running'; }

  async #run() {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        const from = await this.#load(signal);
        this.error = null;
        this.#changed();
        const again = new AbortController();
        this.reload = () => again.abort();
        await watch({
          query: { request: this.id }, from, signal: AbortSignal.any([signal, again.signal]), onEvents: (events) => this.#apply(events),
        });
      } catch (error) {
        if (signal.aborted) return;
        this.error = error;
        this.#changed();
        if (error.code === 'not_found') return;
        await sleep(1000, signal);
      }
    }
  }

  // reload reads everything anew.
  reload() {}

  async #load(signal) {
    const index = await this.#readRequest(signal);
    const fresh = { nodes: [], byId: new Map(), next: '' }; // what there was is shown until all of it has come
    await this.#readJobs(fresh, signal, jobsMax);
    Object.assign(this, fresh);
    this.#count();
    return index; // before the jobs were read, so that nothing is missed
  }

  async #readRequest(signal) {
    return pages(`v1/requests/${this.id}`, {}, (doc) => { this.request = doc; return false; }, signal);
  }

  // readJobs adds jobs to a list, from where it ends.
  async #readJobs(list, signal, max) {
    let left = max;
    await pages(`v1/requests/${this.id}/graph`, { limit: pageSize, ...(list.next && { after: list.next }) }, (doc) => {
      for (const job of doc.jobs) {
        list.byId.set(job.id, job);
        job.worker = job.worker_name;
        list.nodes.push(job);
      }
      list.next = doc.next || '';
      left -= doc.jobs.length;
      return left > 0;
    }, signal);
  }

  async more() {
    await this.#readJobs(this, this.#end.signal, pageSize);
    this.#count();
    this.#changed();
  }

  #count() {
    this.loaded++;
    this.counts = null;
    if (this.next) return;
    this.counts = Object.fromEntries(Object.keys(this.request.counts).map((s) => [s, 0]));
    for (const job of this.nodes) this.counts[job.state]++;
  }

  #apply(events) {
    let moved = false;
    for (const e of events) {
      if (e.type === 'reset') return this.reload();
      if (e.type === 'request') moved = 'now';
      const job = e.job && this.byId.get(e.job);
      if (!job) {
        if (e.job && e.type === 'job') moved ||= true;
        continue;
      }
      this.#late ??= e.time;
      if (e.type === 'progress') {
        if (!terminal.has(job.state)) job.progress = e.progress;
      } else if (e.type === 'job') {
        move(job, e, this.counts);
        moved ||= true;
      }
    }
    if (moved) this.#refresh(moved === 'now');
    this.#changed();
  }

  // refresh reads the request itself, whose counts are right even when not all jobs were read.
  #refresh(now) {
    if (this.#refreshing && !now) return;
    clearTimeout(this.#refreshing);
    this.#refreshing = setTimeout(async () => {
      try {
        const doc = await get(`v1/requests/${this.id}`, { signal: this.#end.signal });
        this.request = doc;
        this.#changed();
      } catch {
        // the connection's state is shown by itself; the next event tries again
      }
      this.#refreshing = null;
    }, now ? 0 : requestEvery);
  }

  #changed() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      if (this.#end.signal.aborted) return;
      if (this.#late) this.lag = Date.now() - Date.parse(this.#late);
      this.#late = null;
      this.#draw();
    }, drawEvery);
  }
}

// move brings a job to the state of an event.
function move(job, e, all) {
  for (const counts of [job.group?.counts, all]) {
    if (!counts) continue;
    counts[job.state]--;
    counts[e.state]++;
  }
  job.state = e.state;
  job.reason = e.reason || '';
  job.attempt = e.attempt || job.attempt;
  job.worker = e.worker_name || job.worker;
  if (e.state === 'done') job.progress = 100;
  else if (!terminal.has(e.state)) job.progress = e.progress || 0;
}
