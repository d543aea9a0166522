/** What the local admin socket may ask of the tokens: as the HTTP API, for whoever may open the socket. */

import { readTokenOrder } from './token-api.ts';
import { infoToJson } from './token-record.ts';
import type { Tokens } from './tokens.ts';

/** As `AdminActions` of `http/`. */
export type TokenActions = Readonly<
  Record<
    'POST /tokens/create' | 'POST /tokens/revoke',
    (ask: Readonly<Record<string, unknown>>) => Promise<Record<string, unknown>>
  >
>;

/** Told after each change, for the audit. */
export type OnTokenChange = (action: 'token_create' | 'token_revoke', id: string, name: string) => void;

/** The actions reject with TokenError, which the socket tells with its code. */
export function tokenActions(tokens: Tokens, nowMs: () => number, onChange: OnTokenChange): TokenActions {
  return {
    'POST /tokens/create': async (ask) => {
      const { info, token } = await tokens.create(readTokenOrder(ask, nowMs()), 'local');
      onChange('token_create', info.id, info.name);
      return { ...infoToJson(info), token };
    },
    'POST /tokens/revoke': async (ask) => {
      const info = await tokens.revoke(typeof ask['token'] === 'string' ? ask['token'] : '');
      onChange('token_revoke', info.id, info.name);
      return { revoked: infoToJson(info) };
    },
  };
}
