/**
 * Everything between a request and the answer that is about who asks: identities and rights, uploads, webhooks, the API,
 * and the audit of it all.
 */
import type { IncomingMessage } from 'node:http';
import { tokenActions } from '../access/tokens/token-actions.ts';
import { tokenApi } from '../access/tokens/token-api.ts';
import { type AuditLog, createAudit } from '../audit/audit-log.ts';
import type { Config } from '../config/snapshot.ts';
import type { AdminActions } from '../http/admin.ts';
import { type ApiAsk, createApi, type Endpoint } from '../http/api.ts';
import { askerOf } from '../http/asker.ts';
import { Gate, nameOf } from '../http/gate.ts';
import type { UploadDeps } from '../http/upload.ts';
import type { Clock } from '../lib/clock.ts';
import type { ProxyRule } from '../outbound/proxy-rule.ts';
import type { OpenRegistry } from '../publish/registry.ts';
import type { RouteTable } from '../route/types.ts';
import type { Logger } from '../telemetry/log.ts';
import type { OnPush } from '../webhooks/delivery-queue.ts';
import type { WebhookSettings } from '../webhooks/known-webhooks.ts';
import { createWebhooks, type Webhooks } from '../webhooks/webhooks.ts';
import { AccessParts, accessWarnings } from './access-parts.ts';
import { deliveryActions } from './delivery-actions.ts';
import { LoginEndpoints } from './login-endpoints.ts';
import { shownPatterns } from './shown-patterns.ts';

export interface EntranceInput {
  readonly clock: Clock;
  readonly log: Logger;
  readonly cwd: string;
  /** Absolute. */
  readonly dataDir: string;
  readonly instanceId: string;
  /** Read at each use, so that a reload changes it. */
  config(): Config;
  /** False: nobody could bring a module of this path. */
  hasSources(path: string): boolean;
  readonly onPush: OnPush;
}

export class Entrance {
  readonly gate: Gate;
  readonly uploads: UploadDeps;
  readonly api: ReturnType<typeof createApi>;
  readonly audit: AuditLog;
  readonly #parts: AccessParts;
  readonly #webhooks: Webhooks;
  readonly #logins: LoginEndpoints;
  readonly #input: EntranceInput;

  private constructor(input: EntranceInput, parts: AccessParts, audit: AuditLog, registry: OpenRegistry) {
    const { clock, dataDir, instanceId } = input;
    this.#input = input;
    this.#parts = parts;
    this.audit = audit;
    const hasSources = (path: string): boolean => input.hasSources(path);
    this.gate = new Gate({ access: parts.access, audit, clock, askerOf, hasSources });
    this.uploads = {
      registry,
      gate: this.gate,
      audit,
      clock,
      pathPrefix: input.config().pathPrefix,
      maxZipBytes: () => input.config().ingest.limits.zipBytes,
    };
    this.#webhooks = createWebhooks({
      webhooks: webhooksOf(input.config()),
      clock,
      dataDir,
      instance: instanceId,
      onPush: input.onPush,
      onRefused: ({ webhook, from, why }) =>
        audit.note({
          action: 'delivery',
          who: `webhook:${webhook}`,
          from,
          result: 'refused',
          reason: why === 'signature' ? 'its signature is wrong' : 'its address is not allowed',
        }),
      onDelivered: (record) =>
        audit.note({
          action: 'delivery',
          who: `webhook:${record.webhook}`,
          from: record.from,
          result: record.state === 'failed' ? 'failed' : 'ok',
          reason: `delivery ${record.id}: ${record.state}`,
        }),
    });
    this.#logins = new LoginEndpoints({ access: parts.access, audit, login: () => parts.login });
    this.api = createApi(this.#endpoints());
  }

  /** Rejects with a ModferryError when a file is missing or a setting cannot be used. */
  static async open(
    input: EntranceInput,
    registry: OpenRegistry,
    routes: RouteTable,
    proxy: ProxyRule,
  ): Promise<Entrance> {
    const { clock, log, dataDir, instanceId } = input;
    const config = input.config();
    const parts = await AccessParts.open(
      { clock, cwd: input.cwd, dataDir, onFault: (sentence) => log.warn({ reason: sentence }, 'access') },
      config,
      routes,
      proxy,
    );
    const audit = createAudit({
      clock,
      dataDir,
      instance: instanceId,
      maxBytes: config.audit.maxBytes,
      keep: config.audit.keep,
      onFault: ({ message, lost }) => log.error({ reason: message, lost }, 'the audit cannot be written'),
      onRecovered: () => log.info('the audit is written again'),
    });
    return new Entrance(input, parts, audit, registry);
  }

  /** What an operator should know of the snapshot in force. */
  get warnings(): readonly string[] {
    return accessWarnings(this.#input.config(), this.#parts.tokens.size > 0);
  }

  /** Patterns of private routes that whoever asks may know of. */
  async shownPatterns(request: IncomingMessage, routes: RouteTable): Promise<readonly string[]> {
    if (this.#input.config().access.isHiding) return [];
    return await shownPatterns(routes, askerOf(request), this.#parts.access);
  }

  /** Prepares another snapshot; the function puts it in force. Rejects when it cannot be used. */
  async prepare(config: Config, routes: RouteTable, proxy: ProxyRule): Promise<() => void> {
    const takeWebhooks = this.#webhooks.prepare(webhooksOf(config));
    const admit = await this.#parts.prepare(config, routes, proxy);
    return () => {
      admit();
      takeWebhooks();
    };
  }

  /** Once, when pushes can be acted upon. Never rejects. */
  resumeDeliveries(): Promise<void> {
    return this.#webhooks.resume();
  }

  /** What the admin socket can do here. */
  get actions(): AdminActions {
    const { audit } = this;
    const { clock } = this.#input;
    const onToken = (action: 'token_create' | 'token_revoke', id: string, name: string): void =>
      audit.note({ action, who: 'local', from: 'local', result: 'ok', data: { id, name } });
    return {
      ...tokenActions(this.#parts.tokens, () => clock.now(), onToken),
      ...deliveryActions({ webhooks: this.#webhooks, audit }),
    };
  }

  /** Ends what is under way; the audit is written last. */
  async close(): Promise<void> {
    await this.#webhooks.close();
    await this.#parts.close();
    await this.audit.close();
  }

  #endpoints(): Endpoint[] {
    const tokens = tokenApi(this.#parts.tokens, () => this.#input.clock.now());
    return [
      {
        method: 'GET',
        name: 'whoami',
        may: 'known',
        answer: ({ identity: { kind, name, groups, scopes, expiresAtMs } }) => ({
          status: 200,
          body: {
            kind,
            name,
            groups,
            scopes: scopes ?? null,
            expiresAt: expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString(),
          },
        }),
      },
      { method: 'GET', name: 'tokens', may: 'admin', answer: () => tokens.list() },
      {
        method: 'POST',
        name: 'tokens',
        may: 'admin',
        answer: async (ask) => {
          const json = parseJson(ask.body);
          if (json === undefined) return { status: 400, body: 'the body is no JSON' };
          const reply = await tokens.create(json, nameOf(ask.identity));
          this.#note('token_create', ask, reply);
          return reply;
        },
      },
      {
        method: 'DELETE',
        name: 'tokens',
        hasRest: true,
        may: 'admin',
        answer: async (ask) => {
          const reply = await tokens.revoke(ask.rest);
          this.#note('token_revoke', ask, reply);
          return reply;
        },
      },
      {
        method: 'GET',
        name: 'login',
        may: 'own',
        answer: () => this.#logins.info(),
      },
      { method: 'POST', name: 'login', may: 'own', answer: (ask) => this.#logins.begin(ask) },
      { method: 'DELETE', name: 'login', may: 'own', answer: (ask) => this.#logins.end(ask) },
      {
        method: 'POST',
        name: 'webhooks',
        hasRest: true,
        may: 'own',
        answer: async ({ rest, headers, body, address }) => {
          const answer = await this.#webhooks.receive(rest, headers, body, address);
          return {
            status: answer.status,
            body: answer.body,
            headers: { 'content-type': answer.contentType },
          };
        },
      },
    ];
  }

  #note(
    action: 'token_create' | 'token_revoke',
    ask: ApiAsk,
    reply: { readonly status: number; readonly body: object },
  ): void {
    const body = reply.body as { readonly id?: unknown; readonly name?: unknown };
    this.audit.note({
      action,
      who: nameOf(ask.identity),
      from: ask.address === '' ? 'local' : ask.address,
      result: reply.status < 300 ? 'ok' : reply.status < 500 ? 'refused' : 'failed',
      data: { id: ask.rest === '' ? body.id : ask.rest, name: body.name },
    });
  }
}

function webhooksOf({ webhooks }: Config): WebhookSettings[] {
  return webhooks.flatMap(({ secret, ...webhook }) => (secret === undefined ? [] : [{ ...webhook, secret }]));
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
