// What is drawn of a DAG: each job if they are few, else groups of them.
//
// Jobs are alike when their names differ in numbers only and they are equally deep in the DAG. If that leaves too many
// groups, all jobs of one depth are one, and if the DAG is deeper than that, several depths. An edge goes only from a
// smaller depth to a greater one, so that groups form a DAG too.

import { states } from './parts.js';

const jobsMax = 60; // drawn one by one
const edgesMax = 240; // drawn one by one: beyond it is a thicket
const groupsMax = 60;

const needName = (need) => (typeof need === 'string' ? need : need.job);
const needWhen = (need) => (typeof need === 'string' ? 'done' : need.when || 'done');

// depths gives the longest way to each job from one without needs; those in a cycle, which cannot be, get 0.
function depths(needs) {
  const depth = new Array(needs.length).fill(0);
  const users = needs.map(() => []);
  const open = needs.map((list, i) => { for (const n of list) users[n.from].push(i); return list.length; });
  const free = open.flatMap((n, i) => (n === 0 ? [i] : []));
  for (let at = 0; at < free.length; at++) {
    for (const u of users[free[at]]) {
      depth[u] = Math.max(depth[u], depth[free[at]] + 1);
      if (--open[u] === 0) free.push(u);
    }
  }
  return depth;
}

const counts = () => Object.fromEntries(states.map((s) => [s, 0]));

// group puts together the jobs with the same key, in the order of the first of each.
function group(nodes, keyOf, labelOf) {
  const groups = new Map();
  nodes.forEach((node, i) => {
    const key = keyOf(node, i);
    let g = groups.get(key);
    if (!g) groups.set(key, g = { id: `g${groups.size}`, label: '', members: [], counts: counts() });
    g.members.push(node);
    g.counts[node.state]++;
    node.group = g;
  });
  const list = [...groups.values()];
  for (const [key, g] of groups) g.label = g.members.length === 1 ? g.members[0].name : labelOf(key, g);
  return list;
}

export function fold(nodes) {
  const byName = new Map(nodes.map((n, i) => [n.name, i]));
  const needs = nodes.map((n) => [
    ...n.needs.map((need) => ({ from: byName.get(needName(need)), when: needWhen(need) })),
    ...(n.needs_any || []).map((need) => ({ from: byName.get(needName(need)), when: `${needWhen(need)}, one of several` })),
  ].filter((n) => n.from !== undefined));
  const edges = needs.reduce((n, list) => n + list.length, 0);
  const depth = depths(needs);
  const deepest = depth.reduce((a, b) => Math.max(a, b), 0);
  const stem = (name) => name.replace(/\d+/g, '*');
  let groups;
  let how = '';
  if (nodes.length <= jobsMax && edges <= edgesMax) {
    groups = group(nodes, (_, i) => i);
  } else {
    how = 'jobs whose names differ in numbers only';
    groups = group(nodes, (n, i) => `${depth[i]} ${stem(n.name)}`, (_, g) => stem(g.members[0].name));
    if (groups.length > groupsMax) {
      const step = Math.ceil((deepest + 1) / groupsMax);
      how = step === 1 ? 'jobs of the same depth' : `jobs of ${step} depths each`;
      groups = group(nodes, (_, i) => Math.floor(depth[i] / step), (at) => (step === 1 ? `depth ${at + 1}` : `depths ${at * step + 1}–${Math.min(deepest + 1, (at + 1) * step)}`));
    }
  }
  const links = new Map();
  nodes.forEach((node, i) => {
    for (const { from, when } of needs[i]) {
      const a = nodes[from].group;
      if (a === node.group) continue;
      const key = `${a.id} ${node.group.id}`;
      const link = links.get(key);
      if (!link) links.set(key, { from: a, to: node.group, when });
      else if (link.when !== when) link.when = 'done';
    }
  });
  return { groups, links: [...links.values()], how };
}
