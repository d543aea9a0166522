/**
 * What those who are turned away are told: what to do, in at most three lines, and nothing that depends on whether a
 * module exists. The go command shows them to its user (go-client: plain text, up to the first blank line).
 */

export const anonymousText =
  'this server wants to know who asks: run `modferry login`, or write a token for it into .netrc\n' +
  '`modferry env` prints the settings for the go command';

export const wrongText =
  'the login or token that was sent is not valid here: it is wrong, expired or revoked\n' +
  'run `modferry login` again, or put a new token into .netrc; `modferry env` prints the settings';

export const malformedText =
  'the Authorization header cannot be understood; send Basic or Bearer, as .netrc or `modferry goauth` do';

/** Says nothing: it must be what one is told of a module that is not there. */
export const hiddenText = 'not found';

export function forbiddenText(name: string, rule: string): string {
  return `${name} may not do this (${rule})\nask whoever runs this server for the right`;
}

/** For those who said nothing of themselves where it would not help them. */
export function nobodyText(rule: string): string {
  return `nobody may do this (${rule})`;
}

export function addressText(address: string): string {
  const from = address === '' ? 'a Unix socket' : address;
  return `requests from ${from} are not allowed here; ask whoever runs this server`;
}

export function limitedText(retryAfterMs: number): string {
  return `too many requests; try again in ${seconds(retryAfterMs)}`;
}

export function lockedText(retryAfterMs: number): string {
  return `too many failed logins; try again in ${seconds(retryAfterMs)}`;
}

export function unavailableText(authenticator: string): string {
  return `the login cannot be checked now, because ${authenticator} does not answer; try again in a moment`;
}

function seconds(durationMs: number): string {
  return `${Math.max(1, Math.ceil(durationMs / 1000))} s`;
}

export const closedText = 'the server is stopping; try again in a moment';
