// The picture of a DAG, laid out by dagre.

import { html, useMemo, useState, useRef, useLayoutEffect } from './base.js';
import { Graph as Dag, layout } from './vendor/dagre.js';
import { fold } from './fold.js';
import { Shape, states } from './parts.js';
import { number } from './format.js';

const width = 176;
const height = 40;
const groupHeight = 52;
const lettersMax = 21; // of a name

function place({ groups, links }) {
  const dag = new Dag();
  dag.setGraph({ rankdir: 'LR', nodesep: 12, ranksep: 44, marginx: 6, marginy: 6 });
  dag.setDefaultEdgeLabel(() => ({}));
  for (const g of groups) dag.setNode(g.id, { width, height: g.members.length > 1 ? groupHeight : height });
  for (const l of links) dag.setEdge(l.from.id, l.to.id, {});
  layout(dag);
  const box = dag.graph();
  return {
    width: Math.ceil(Math.max(1, box.width)), height: Math.ceil(Math.max(1, box.height)), // without a job there is no box
    boxes: groups.map((g) => { const n = dag.node(g.id); return { group: g, x: n.x - n.width / 2, y: n.y - n.height / 2, h: n.height }; }),
    lines: links.map((l) => {
      const [a, b] = [dag.node(l.from.id), dag.node(l.to.id)];
      const between = dag.edge(l.from.id, l.to.id).points.slice(1, -1);
      return { ...l, path: curve({ x: a.x + a.width / 2, y: a.y }, between.length > 1 ? between : [], { x: b.x - b.width / 2, y: b.y }) };
    }),
  };
}

// curve leaves a box to the right and comes to the next from the left, past the points where it crosses other ranks.
function curve(from, past, to) {
  const at = ({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`;
  const stops = [from, ...past, to];
  let path = `M${at(from)}`;
  for (let i = 1; i < stops.length; i++) {
    const [a, b] = [stops[i - 1], stops[i]];
    const bend = (b.x - a.x) / 2;
    path += `C${at({ x: a.x + bend, y: a.y })} ${at({ x: b.x - bend, y: b.y })} ${at(b)}`;
  }
  return path;
}

function cut(name) {
  const letters = [...name];
  return letters.length <= lettersMax ? name : `${letters.slice(0, lettersMax - 1).join('')}…`;
}

// stateOf is the state that a group as a whole is shown in.
function stateOf(counts) {
  return ['failed', 'running', 'picked', 'ready', 'delayed', 'waiting', 'cancelled', 'done'].find((s) => counts[s] > 0);
}

function Job({ x, y, job, go }) {
  const live = job.state === 'running' && job.progress > 0;
  const words = `${job.name}${live ? ` ${job.progress} %` : ''}, ${job.state}`;
  const open = (event) => { event.preventDefault(); go(`#/jobs/${job.id}`); };
  return html`<a href=${`#/jobs/${job.id}`} onClick=${open} class=${`node s-${job.state}`}>
    <title>${words}</title><svg x=${x} y=${y} width=${width} height=${height}>
    <rect class="box" x="0.75" y="0.75" width=${width - 1.5} height=${height - 1.5} rx="6"/>
    <${Shape} state=${job.state} x="10" y="13" />
    <text x="31" y=${live ? 18 : 24.5}>${cut(job.name)}</text>
    ${live && html`<rect class="rail" x="31" y="26" width=${width - 76} height="4" rx="2"/><rect class="part" x="31" y="26" width=${((width - 76) * job.progress) / 100} height="4" rx="2"/>
      <text class="small" x=${width - 10} y="31" text-anchor="end">${job.progress} %</text>`}</svg></a>`;
}

function Group({ x, y, group, pick, picked }) {
  const all = group.members.length;
  const { counts } = group;
  const over = counts.done + counts.failed + counts.cancelled;
  const words = `${group.label} ${number(over)}/${number(all)}: ${states.filter((s) => counts[s] > 0).map((s) => `${number(counts[s])} ${s}`).join(', ')}`;
  let at = 10;
  const room = width - 20;
  const bars = ['done', 'failed', 'cancelled', 'running', 'picked', 'ready', 'delayed', 'waiting'].filter((s) => counts[s] > 0).map((s) => {
    const w = (room * counts[s]) / all;
    const bar = html`<rect key=${s} class=${`part s-${s}`} x=${at} y="34" width=${Math.max(1, w)} height="7" />`;
    at += w;
    return bar;
  });
  const press = (event) => { if (event.type === 'click' || event.key === 'Enter' || event.key === ' ') { event.preventDefault(); pick(picked ? null : group); } };
  return html`<g role="button" tabindex="0" aria-pressed=${picked ? 'true' : 'false'} onClick=${press} onKeyDown=${press} class=${`node group s-${stateOf(counts)} ${picked ? 'picked' : ''}`}>
    <title>${words}</title><svg x=${x} y=${y} width=${width} height=${groupHeight}>
    <rect class="box" x="0.75" y="0.75" width=${width - 1.5} height=${groupHeight - 1.5} rx="6"/>
    <${Shape} state=${stateOf(counts)} x="10" y="9"/><text x="31" y="20.500">${cut(group.label).slice(0, 15)}</text>
    <text class="small" x=${width - 10} y="20.500" text-anchor="end">${number(over)}/${number(all)}</text>${bars}</svg></g>`;
}

const zoomMin = 0.25;
const zoomMax = 1.5;
const viewHeight = 440; // at most; beyond it the picture scrolls

// Graph draws the DAG of a request. pick is told which group was chosen, or null.
export function Graph({ nodes, loaded, version, lag, go, pick, picked }) {
  const folded = useMemo(() => fold(nodes), [nodes, loaded]);
  const plan = useMemo(() => place(folded), [folded]);
  const box = useRef(null);
  const [zoom, setZoom] = useState(1);
  const fit = () => {
    const room = box.current.clientWidth - 2;
    return Math.min(1, Math.max(zoomMin, Math.min(room / plan.width, viewHeight / plan.height)));
  };
  useLayoutEffect(() => setZoom(Math.max(0.6, fit())), [plan]);
  const by = (factor) => setZoom((z) => Math.min(zoomMax, Math.max(zoomMin, z * factor)));
  return html`<section class="block"><div class="blockhead"><h2>Graph</h2>
      ${folded.how && html`<span class="muted">folded: ${folded.how} are one; choose one to list its jobs</span>`}
      <span class="zoom"><button class="plain" aria-label="Draw it smaller" onClick=${() => by(0.8)}>−</button><button class="plain" onClick=${() => setZoom(fit())}>Fit</button><button class="plain" aria-label="Draw it larger" onClick=${() => by(1.25)}>+</button></span></div>
    <div class="graph" ref=${box} tabindex="0" role="region" aria-label="Graph of the jobs" data-version=${version} data-lag=${lag}>
      <svg width=${plan.width * zoom} height=${plan.height * zoom} viewBox=${`0 0 ${plan.width} ${plan.height}`}>
        <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0,1L7,4L0,7z" class="tip"/></marker></defs>
        ${plan.lines.map((l) => html`<path class=${l.when === 'done' ? 'edge' : 'edge other'} d=${l.path} marker-end="url(#tip)">${l.when !== 'done' && html`<title>when ${l.when}</title>`}</path>`)}
        ${plan.boxes.map(({ group, x, y }) => (group.members.length === 1
    ? html`<${Job} key=${group.id} x=${x} y=${y} job=${group.members[0]} go=${go}/>`
    : html`<${Group} key=${group.id} x=${x} y=${y} group=${group} pick=${pick} picked=${picked === group}/>`))}
      </svg></div></section>`;
}
