// The frame around the pages: where one is, whether anybody answers, and which page is shown.
// The place is in the fragment of the address (#/requests/r…), so that the server has one page only.

import { html, render, Component, useState, useEffect } from './base.js';
import { Store, useStore } from './store.js';
import { cluster, follow } from './cluster.js';
import { connection } from './client.js';
import { Notices, Question, Shape, useNow } from './parts.js';
import { duration, Time } from './format.js';
import { Overview } from './overview.js';
import { Requests } from './requests.js';
import { Request } from './request.js';
import { Job } from './job.js';
import { Workers } from './workers.js';
import { Sessions } from './sessions.js';
import { Cluster } from './operate.js';

const pages = [
  ['', 'Overview', Overview], ['requests', 'Requests', Requests], ['workers', 'Workers', Workers], ['sessions', 'Sessions', Sessions], ['cluster', 'Cluster', Cluster],
];

function placeOf() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [page = '', id = ''] = path.split('/').map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  return { page, id, query: new URLSearchParams(query) };
}

const place = new Store(placeOf());
addEventListener('hashchange', () => {
  const before = place.value;
  place.set(placeOf());
  if (before.page === place.value.page && before.id === place.value.id) return; // a filter only
  scrollTo(0, 0);
  requestAnimationFrame(() => document.querySelector('h1')?.focus({ preventScroll: true }));
});
const go = (hash) => { location.hash = hash; };

// "/" goes to the page's search field, as in other tools.
addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const field = document.querySelector('[data-search]');
  if (field) { event.preventDefault(); field.focus(); }
});

const themes = ['system', 'light', 'dark'];

function remembered() {
  try { return localStorage.getItem('muster-theme'); } catch { return null; } // storage may be off
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem('muster-theme', theme); } catch { /* for this page only, then */ }
  dispatchEvent(new Event('muster-theme'));
}
document.documentElement.dataset.theme = themes.find((t) => t === remembered()) || 'system';

function Theme() {
  const [theme, set] = useState(document.documentElement.dataset.theme);
  const change = (event) => { setTheme(event.target.value); set(event.target.value); };
  return html`<label class="theme"><span class="hidden">Colours</span><select value=${theme} onChange=${change}>${themes.map((t) => html`<option key=${t} value=${t}>${t}</option>`)}</select></label>`;
}

// Banner is honest about what is shown when nobody answers, or when who answers is cut off.
function Banner() {
  useNow();
  const { ok, heard, error } = useStore(connection);
  const { status, at } = useStore(cluster);
  if (!ok) {
    return html`<div class="banner bad" role="alert"><${Shape} state="failed"/><span><strong>No connection.</strong> No coordinator of the cluster answers: ${error}.
      ${at ? html` What you see is from <${Time} at=${new Date(Math.min(heard, at)).toISOString()}/>.` : ''} Trying again …</span></div>`;
  }
  if (status && !status.leader) {
    return html`<div class="banner" role="alert"><${Shape} state="delayed"/><span><strong>No leader.</strong> ${status.problem || 'An election is under way, or a majority of coordinators is gone.'} What you see may be old.</span></div>`;
  }
  if (status && (!status.fresh || status.problem)) {
    return html`<div class="banner" role="status"><${Shape} state="delayed"/><span><strong>${status.fresh ? 'Not well.' : 'What you see may be old.'}</strong> ${status.problem || 'The leader does not answer.'}</span></div>`;
  }
  return null;
}

function Link() {
  useNow();
  const { ok, heard } = useStore(connection);
  const { status } = useStore(cluster);
  return html`<span class="link-state" data-ok=${ok ? 'yes' : 'no'}><${Shape} state=${ok ? 'running' : 'failed'}/>${ok ? 'live' : `lost ${duration(Date.now() - heard)} ago`}${ok && status ? html` · <bdi>${status.node_name}</bdi>` : ''}</span>`;
}

// Guarded shows a fault of a page instead of an empty window.
class Guarded extends Component {
  state = { fault: null };

  static getDerivedStateFromError(fault) { return { fault }; }

  componentDidCatch(fault) { console.error(fault); }

  render({ children }, { fault }) {
    if (!fault) return children;
    return html`<div class="empty"><p><strong>This page failed.</strong></p><p>${String(fault.message || fault)}</p><p><button onClick=${() => this.setState({ fault: null })}>Try again</button></p></div>`;
  }
}

function Shown() {
  const { page, query, ...at } = useStore(place);
  const id = encodeURIComponent(at.id); // it becomes part of paths
  if (page === 'requests' && id) return html`<${Request} key=${id} id=${id} go=${go}/>`;
  if (page === 'jobs' && id) return html`<${Job} key=${id} id=${id}/>`;
  const found = pages.find(([path]) => path === page);
  if (!found) return html`<div class="page"><div class="head"><h1 tabindex="-1">Nothing is here</h1></div><p><a href="#/">Overview</a></p></div>`;
  return html`<${found[2]} query=${query} go=${go}/>`;
}

function App() {
  const { page, id, query } = useStore(place);
  const { status } = useStore(cluster);
  const at = page === 'jobs' ? 'requests' : page;
  useEffect(() => {
    const end = new AbortController();
    follow(end.signal);
    return () => end.abort();
  }, []);
  return html`
    <a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById('main').focus(); }}>Skip to the page</a>
    <header class="top"><a class="brand" href="#/"><img src="dashboard/icon.svg" alt="" width="20" height="20"/>muster</a>${status && html`<bdi class="cluster">${status.cluster}</bdi>`}
      <nav aria-label="Pages of the dashboard">${pages.map(([path, name]) => html`<a key=${path} href=${`#/${path}`} aria-current=${at === path ? 'page' : undefined}>${name}</a>`)}</nav>
      <span class="right"><${Link}/><${Theme}/></span></header>
    <${Banner}/>
    <main id="main" tabindex="-1"><${Guarded} key=${`${page}/${id}`}><${Shown}/><//></main>
    <${Notices}/><${Question}/>`;
}

const root = document.getElementById('app');
root.replaceChildren();
render(html`<${App}/>`, root);
