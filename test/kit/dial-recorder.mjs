/**
 * Loaded into a process by `NODE_OPTIONS=--import=…/dial-recorder.mjs`: appends a line for each attempt to connect a
 * socket, to send a datagram, or to resolve a name, to the file that DIAL_RECORD names. Plain JavaScript, so that it
 * loads before anything else and in every process that inherits the environment.
 */
import dgram from 'node:dgram';
import dns from 'node:dns';
import { appendFileSync } from 'node:fs';
import net from 'node:net';

const file = process.env.DIAL_RECORD;

/** At once and synchronously: a line must be there even when the process is killed in the next moment. */
function record(what, where) {
  appendFileSync(file, `${what} ${where}\n`);
}

/** `connect` takes options, a path, or a port and a host; `net.connect` hands them over as an array. */
function targetOf(args) {
  const [first, second] = Array.isArray(args[0]) ? args[0] : args;
  if (typeof first === 'object' && first !== null) {
    return first.path ?? `${first.host ?? 'localhost'}:${first.port}`;
  }
  return typeof first === 'number' || /^\d+$/.test(first) ? `${typeof second === 'string' ? second : 'localhost'}:${first}` : first;
}

function wrap(object, name, what, whereOf) {
  const inner = object[name];
  object[name] = function recorded(...args) {
    const where = whereOf(args);
    if (where !== undefined) record(what, where);
    return inner.apply(this, args);
  };
}

if (file !== undefined && file !== '') {
  wrap(net.Socket.prototype, 'connect', 'connect', targetOf);
  wrap(dgram.Socket.prototype, 'send', 'send', () => 'datagram');
  // An address needs no resolving: `listen` on one passes through here as well.
  const named = ([name]) => (net.isIP(name) === 0 ? String(name) : undefined);
  for (const resolver of [dns, dns.promises]) {
    for (const name of ['lookup', 'resolve', 'resolve4', 'resolve6', 'resolveAny', 'resolveSrv', 'resolveTxt']) {
      wrap(resolver, name, 'resolve', named);
    }
  }
}
