import { describe, expect, it } from 'vitest';
import type { EndedLogin, LoginApi, LoginReply } from '../access/oidc/login-api.ts';
import { testAccess } from '../access/test-access.ts';
import { TokenError } from '../access/tokens/token-record.ts';
import { anonymous } from '../access/types.ts';
import type { AuditEntry } from '../audit/types.ts';
import type { ApiAsk } from '../http/api.ts';
import { LoginEndpoints } from './login-endpoints.ts';

const grant = { token: 'mfy_x', name: 'alice', groups: [], expiresAt: '2026-01-01T00:00:00.000Z' };

function ask(address = '192.0.2.1'): ApiAsk {
  return {
    rest: '',
    headers: { authorization: 'Bearer x' },
    body: Buffer.alloc(0),
    identity: anonymous,
    address,
    signal: new AbortController().signal,
  };
}

function endpoints(reply: () => LoginReply, ended: () => EndedLogin = () => ({ kind: 'none' })) {
  const { access, clock } = testAccess({ failuresPerMinute: 3 });
  const audited: AuditEntry[] = [];
  const login: LoginApi = {
    info: () => ({ issuer: 'https://login.example', clientId: 'cli', scopes: [] }),
    exchange: async () => reply(),
    end: async () => ended(),
  };
  const made = new LoginEndpoints({
    access,
    audit: { note: (entry) => audited.push(entry) },
    login: () => login,
  });
  return { made, audited, clock };
}

async function statuses(count: number, answer: () => Promise<{ status: number }>): Promise<number[]> {
  const all: number[] = [];
  for (let index = 0; index < count; index += 1) all.push((await answer()).status);
  return all;
}

describe('a log-in', () => {
  it('that fails counts against its address: 429 after the limit', async () => {
    const { made, audited, clock } = endpoints(() => ({ status: 401, text: 'no' }));
    expect(await statuses(4, () => made.begin(ask()))).toEqual([401, 401, 401, 429]);
    expect(await made.begin(ask())).toMatchObject({
      headers: { 'retry-after': '20' },
      body: 'too many failed logins; try again in 20 s\n',
    });
    expect((await made.begin(ask('192.0.2.2'))).status).toBe(401);
    expect((await made.end(ask())).status, 'it is one limit').toBe(429);
    expect(audited[3]).toMatchObject({
      action: 'login',
      result: 'refused',
      reason: 'failed logins (address)',
    });
    await clock.advance(20_000);
    expect((await made.begin(ask())).status).toBe(401);
  });

  it('that is good, or cannot be checked, counts for nothing', async () => {
    const good = endpoints(() => ({ status: 200, grant }));
    expect(await statuses(10, () => good.made.begin(ask()))).toEqual(Array.from({ length: 10 }, () => 200));
    expect(good.audited[0]).toMatchObject({
      action: 'login',
      who: 'user:alice',
      from: '192.0.2.1',
      result: 'ok',
    });
    const silent = endpoints(() => ({ status: 503, text: 'the keys cannot be had' }));
    expect(await statuses(10, () => silent.made.begin(ask()))).toEqual(Array.from({ length: 10 }, () => 503));
    expect(silent.audited[0]).toMatchObject({ result: 'failed', reason: 'the keys cannot be had' });
  });

  it('is ended by its token, which is audited with whose it was', async () => {
    const { made, audited } = endpoints(
      () => ({ status: 200, grant }),
      () => ({ kind: 'ended', id: 'ab12', name: 'alice' }),
    );
    expect(await made.end(ask())).toMatchObject({ status: 200, body: { ended: true } });
    expect(audited).toMatchObject([
      { action: 'token_revoke', who: 'user:alice', result: 'ok', data: { id: 'ab12', name: 'alice' } },
    ]);
  });

  it('is no token of a machine, which stays', async () => {
    const { made, audited } = endpoints(
      () => ({ status: 200, grant }),
      () => ({ kind: 'static' }),
    );
    expect(await made.end(ask())).toMatchObject({
      status: 403,
      body: expect.stringContaining('administrator'),
    });
    expect(audited).toMatchObject([{ action: 'token_revoke', result: 'refused' }]);
  });

  it('that is unknown ends nothing, and is a failed one', async () => {
    const { made } = endpoints(() => ({ status: 200, grant }));
    expect(await made.end(ask())).toMatchObject({ status: 200, body: { ended: false } });
    expect(await statuses(3, () => made.end(ask()))).toEqual([200, 200, 429]);
  });

  it('is told that the tokens cannot be had, never that something broke', async () => {
    const { made } = endpoints(
      () => ({ status: 200, grant }),
      () => {
        throw new TokenError('damaged', 'the tokens cannot be read');
      },
    );
    expect(await made.end(ask())).toMatchObject({ status: 503, body: 'the tokens cannot be read\n' });
  });

  it('is not there without an issuer', async () => {
    const { access } = testAccess();
    const made = new LoginEndpoints({ access, audit: { note: () => {} }, login: () => undefined });
    expect([made.info().status, ...(await statuses(1, () => made.begin(ask())))]).toEqual([404, 404]);
  });
});
