/**
 * `/-/v1/login`: the log-in proves by itself who asks, so failed ones are counted here, as those of every other way are
 * in `access/`.
 */
import type { AccessControl } from '../access/access.ts';
import { lockedText } from '../access/denial-texts.ts';
import type { LoginApi } from '../access/oidc/login-api.ts';
import { troubleOf } from '../access/trouble.ts';
import type { Audit, AuditEntry } from '../audit/types.ts';
import type { ApiAsk, ApiReply } from '../http/api.ts';

export interface LoginEndpointDeps {
  readonly access: Pick<AccessControl, 'admitTrial'>;
  readonly audit: Audit;
  /** Undefined: there is no browser log-in here. Read at each use, so that a reload changes it. */
  login(): LoginApi | undefined;
}

/** Status of a log-in whose answer says that what was sent is wrong. */
const wrongStatus = 401;
const retryAfter = { 'retry-after': '5' };

type Noted = Pick<AuditEntry, 'action' | 'who' | 'result'> & Partial<AuditEntry>;

export class LoginEndpoints {
  readonly #deps: LoginEndpointDeps;

  constructor(deps: LoginEndpointDeps) {
    this.#deps = deps;
  }

  /** GET: where to log in. */
  info(): ApiReply {
    const login = this.#deps.login();
    return login === undefined ? none() : { status: 200, body: login.info() };
  }

  /** POST: a token for an ID token. Rejects with the signal's reason. */
  begin(ask: ApiAsk): Promise<ApiReply> {
    return this.#tried(ask, 'login', async (login) => {
      const reply = await login.exchange(ask.headers.authorization, ask.signal);
      if (reply.status === 200) {
        this.#note(ask, { action: 'login', who: `user:${reply.grant.name}`, result: 'ok' });
        return { status: 200, body: reply.grant };
      }
      const result = reply.status === wrongStatus ? 'refused' : 'failed';
      this.#note(ask, { action: 'login', who: 'anonymous', result, reason: reply.text });
      const headers = reply.status === 503 ? retryAfter : {};
      return { status: reply.status, body: `${reply.text}\n`, headers };
    });
  }

  /** DELETE: ends the log-in whose token is shown. Rejects with the signal's reason. */
  end(ask: ApiAsk): Promise<ApiReply> {
    return this.#tried(ask, 'token_revoke', async (login) => {
      const ended = await login.end(ask.headers.authorization);
      const action = 'token_revoke';
      switch (ended.kind) {
        case 'ended': {
          const { id, name } = ended;
          this.#note(ask, { action, who: `user:${name}`, result: 'ok', data: { id, name } });
          return { status: 200, body: { ended: true } };
        }
        case 'static':
          this.#note(ask, { action, who: 'anonymous', result: 'refused', reason: 'a token of a machine' });
          return {
            status: 403,
            body: 'this is a token of a machine and no log-in; an administrator ends it: modferry token revoke\n',
          };
        default:
          return { status: 200, body: { ended: false } };
      }
    });
  }

  /** A trial that the limits of its address let through; what was wrong stays counted. */
  async #tried(
    ask: ApiAsk,
    action: 'login' | 'token_revoke',
    work: (login: LoginApi) => Promise<ApiReply>,
  ): Promise<ApiReply> {
    const login = this.#deps.login();
    if (login === undefined) return none();
    const trial = await this.#deps.access.admitTrial(ask.address, ask.signal);
    if (!trial.isAdmitted) {
      const reason = `failed logins (${trial.by})`;
      this.#note(ask, { action, who: 'anonymous', result: 'refused', reason });
      const seconds = Math.max(1, Math.ceil(trial.retryAfterMs / 1000));
      const headers = { 'retry-after': String(seconds) };
      return { status: 429, body: `${lockedText(trial.retryAfterMs)}\n`, headers };
    }
    try {
      const reply = await work(login);
      trial.settle(isWrong(reply));
      return reply;
    } catch (error) {
      if (ask.signal.aborted) throw error;
      const text = troubleOf(error);
      if (text === undefined) throw error;
      this.#note(ask, { action, who: 'anonymous', result: 'failed', reason: text });
      return { status: 503, body: `${text}\n`, headers: retryAfter };
    } finally {
      // Also when it was broken off: nobody learnt anything.
      trial.settle(false);
    }
  }

  #note({ address }: ApiAsk, entry: Noted): void {
    this.#deps.audit.note({ from: address === '' ? 'local' : address, ...entry });
  }
}

function isWrong({ status, body }: ApiReply): boolean {
  return status === wrongStatus || (typeof body === 'object' && 'ended' in body && body.ended === false);
}

function none(): ApiReply {
  return { status: 404, body: 'there is no browser log-in here; an operator sets access.oidc\n' };
}
