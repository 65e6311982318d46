// A line over the last minutes, drawn by uPlot.

import uPlot from './vendor/uplot.js';
import { html, useEffect, useRef } from './base.js';

const seconds = 120; // shown

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function options(width, height, tone, unit) {
  const axis = { stroke: () => colour('--muted'), grid: { stroke: () => colour('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  return {
    width, height, legend: { show: false }, padding: [8, 4, 0, 0],
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: (_, min, max) => [0, Math.max(1, (max ?? 0) * 1.15)] } },
    axes: [
      { ...axis, space: 70, size: 22, values: (_, ticks) => ticks.map((t) => new Date(t * 1000).toTimeString().slice(0, 8)) },
      { ...axis, space: 28, size: 46, values: (_, ticks) => ticks.map((v) => `${v >= 10000 ? `${v / 1000}k` : v}${unit}`) },
    ],
    series: [{}, { stroke: () => colour(tone), fill: () => colour(`${tone}-soft`), width: 1.5, points: { show: false } }],
  };
}

// Chart shows values over time: times in seconds, null where nothing is known. What it shows is said in text beside it.
export function Chart({ times, values, label, tone = '--running', unit = '' }) {
  const box = useRef(null);
  const plot = useRef(null);
  useEffect(() => {
    const height = 120;
    const room = box.current;
    plot.current = new uPlot(options(room.clientWidth || 300, height, tone, unit), [[], []], room);
    const watch = new ResizeObserver(() => plot.current?.setSize({ width: room.clientWidth, height }));
    watch.observe(room);
    const redraw = () => plot.current?.redraw();
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', redraw);
    addEventListener('muster-theme', redraw);
    return () => {
      watch.disconnect();
      scheme.removeEventListener('change', redraw);
      removeEventListener('muster-theme', redraw);
      plot.current.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => {
    const now = times.length ? times[times.length - 1] : Date.now() / 1000;
    plot.current.batch(() => {
      plot.current.setData([times, values], true);
      plot.current.setScale('x', { min: now - seconds, max: now });
    });
  }, [times, values]);
  return html`<div class="chart" role="img" aria-label=${label} ref=${box}></div>`;
}
