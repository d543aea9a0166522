/**
 * The parts of undici that fetching needs, without its index: that one also loads fetch, WebSocket, caches and
 * mocks, which costs every start 30 ms and 13 MiB for nothing. The version is pinned exactly, so the paths hold;
 * a test compares them with the index.
 */
import { createRequire } from 'node:module';
import type * as Undici from 'undici';

const require = createRequire(import.meta.url);

const Dispatcher = require('undici/lib/dispatcher/dispatcher.js') as typeof Undici.Dispatcher;
// As undici's index does: the dispatchers have `dispatch` of their own, the rest is mixed in.
Object.assign(Dispatcher.prototype, require('undici/lib/api'));

export const Agent = require('undici/lib/dispatcher/agent.js') as typeof Undici.Agent;
export const Pool = require('undici/lib/dispatcher/pool.js') as typeof Undici.Pool;
