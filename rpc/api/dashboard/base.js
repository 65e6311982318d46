// The libraries that every module of the dashboard uses, by one name each.
//
// Text from outside (names, logs, results, errors) goes into the page as text only: html`` makes elements of what is
// written in these files and text of every value. Nothing here sets innerHTML.

import { h, render } from './vendor/preact.js';
import htm from './vendor/htm.js';

export { h, render };
export { Component, Fragment } from './vendor/preact.js';
export { useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback } from './vendor/preact-hooks.js';

export const html = htm.bind(h);
