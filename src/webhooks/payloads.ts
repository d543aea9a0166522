/**
 * What a delivery says: a push, a ping, or nothing for us; and its id. Payloads are read as their forges document them,
 * and nothing in them is believed to have any shape.
 * @see https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
 * @see https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events
 * @see https://docs.gitlab.com/administration/system_hooks/
 * @see https://help.gitee.com/webhook/gitee-webhook-push-data-format
 */
import { fieldOf, isObject, textOf } from './json-body.ts';
import type { WebhookHeaders } from './signatures.ts';
import type { Forge, Push, PushedRef } from './types.ts';

/** `refsLeftOut`: so many refs more than are looked at one by one. */
export type Told =
  | { readonly kind: 'push'; readonly push: Push; readonly refsLeftOut: number }
  | { readonly kind: 'ping' }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'malformed'; readonly why: string };

const maxRefs = 300;
const maxRefLength = 512;
const maxUrls = 20;
const maxUrlLength = 1024;

/** The event as the forge names it in a header; '' when it names none. Shown, so only harmless characters. */
export function eventOf(forge: Forge, headers: WebhookHeaders): string {
  const name = eventHeaders[forge].map((header) => headers[header]).find((value) => value !== undefined);
  return (name ?? '').replaceAll(/[^\w .:-]/g, '?').slice(0, 60);
}

const eventHeaders: Readonly<Record<Forge, readonly string[]>> = {
  github: ['x-github-event'],
  gitlab: ['x-gitlab-event'],
  gitea: ['x-forgejo-event', 'x-gitea-event', 'x-gogs-event', 'x-github-event'],
  gitee: ['x-gitee-event'],
  generic: ['x-modferry-event'],
};

/**
 * What names this delivery and no other; undefined when the forge sends none. GitLab's `X-Gitlab-Webhook-UUID` names the
 * webhook, not the delivery, so that it does not stand here.
 */
export function deliveryIdOf(forge: Forge, headers: WebhookHeaders): string | undefined {
  return idHeaders[forge]
    .map((header) => headers[header])
    .find((value) => value !== undefined && value !== '' && value.length <= 200);
}

const idHeaders: Readonly<Record<Forge, readonly string[]>> = {
  github: ['x-github-delivery'],
  gitlab: ['webhook-id', 'idempotency-key', 'x-gitlab-event-uuid'],
  gitea: ['x-forgejo-delivery', 'x-gitea-delivery', 'x-github-delivery'],
  gitee: ['x-gitee-delivery'],
  generic: ['x-modferry-delivery'],
};

export function readPayload(forge: Forge, headers: WebhookHeaders, body: object): Told {
  return readers[forge](body, eventOf(forge, headers), headers);
}

type Reader = (body: object, event: string, headers: WebhookHeaders) => Told;

const readers: Readonly<Record<Forge, Reader>> = {
  github: (body, event) => gitHubLike(body, event, fieldOf(body, 'repository')),
  gitea: (body, event) => gitHubLike(body, event, fieldOf(body, 'repository')),
  gitlab: readGitLab,
  gitee: (body, event, headers) => {
    if (headers['x-gitee-ping'] === 'true') return { kind: 'ping' };
    if (!/^(tag )?push hook$/i.test(event)) return { kind: 'ignored' };
    return pushOf(urlsOf(fieldOf(body, 'repository'), fieldOf(body, 'project')), [body]);
  },
  generic: (body, event) => {
    if (event === 'ping' || fieldOf(body, 'ping') === true) return { kind: 'ping' };
    if (event !== '' && event !== 'push') return { kind: 'ignored' };
    return pushOf(listOf(body, 'urls'), listOf(body, 'refs'));
  },
};

function gitHubLike(body: object, event: string, repository: unknown): Told {
  if (event === 'ping') return { kind: 'ping' };
  if (event === 'push') return pushOf(urlsOf(repository), [body]);
  if (event !== 'create' && event !== 'delete') return { kind: 'ignored' };
  const [name, type] = [textOf(body, 'ref'), textOf(body, 'ref_type')];
  // A wiki or a repository may be created too.
  if (type !== 'tag' && type !== 'branch') return { kind: 'ignored' };
  if (name === undefined) return { kind: 'malformed', why: 'ref is missing' };
  const ref = `refs/${type === 'tag' ? 'tags' : 'heads'}/${name}`;
  // GitHub does not tell which commit was tagged; Gitea does.
  const after = event === 'delete' ? null : (textOf(body, 'sha') ?? '');
  return pushOf(urlsOf(repository), [{ ref, after }]);
}

function readGitLab(body: object, event: string): Told {
  const kind = textOf(body, 'object_kind') ?? textOf(body, 'event_name') ?? '';
  const isOfHook = ['Push Hook', 'Tag Push Hook', 'System Hook'].includes(event);
  if (!isOfHook) return { kind: 'ignored' };
  const urls = urlsOf(fieldOf(body, 'project'), fieldOf(body, 'repository'));
  if (kind === 'push' || kind === 'tag_push') return pushOf(urls, [body]);
  if (kind === 'repository_update') return pushOf(urls, listOf(body, 'changes'));
  return { kind: 'ignored' };
}

const urlFields = [
  'clone_url',
  'ssh_url',
  'git_url',
  'html_url',
  'svn_url',
  'git_http_url',
  'git_ssh_url',
  'http_url',
  'web_url',
  'homepage',
  'url',
];

function urlsOf(...repositories: readonly unknown[]): unknown[] {
  return repositories.flatMap((repository) => urlFields.map((name) => fieldOf(repository, name)));
}

function listOf(body: object, name: string): readonly unknown[] {
  const found = fieldOf(body, name);
  return Array.isArray(found) ? found : [];
}

function pushOf(urls: readonly unknown[], refs: readonly unknown[]): Told {
  const known = [...new Set(urls.flatMap(urlOf))].slice(0, maxUrls);
  if (known.length === 0) return { kind: 'malformed', why: 'no address of the repository' };
  if (refs.length === 0) return { kind: 'malformed', why: 'no refs' };
  const pushed: PushedRef[] = [];
  for (const each of refs.slice(0, maxRefs)) {
    const ref = refOf(each);
    if (ref === undefined) return { kind: 'malformed', why: 'a ref is not as it should be' };
    pushed.push(ref);
  }
  const refsLeftOut = Math.max(0, refs.length - maxRefs);
  return { kind: 'push', push: { urls: known, refs: pushed }, refsLeftOut };
}

/** Without credentials; none for what is no address of a repository. */
function urlOf(value: unknown): string[] {
  if (typeof value !== 'string' || value === '' || value.length > maxUrlLength) return [];
  if (/[^!-~]/.test(value)) return [];
  // git@host:path, as ssh has it.
  if (/^[\w.-]+@[\w.-]+:[^:]+$/.test(value)) return [value];
  try {
    const url = new URL(value);
    if (!['https:', 'http:', 'ssh:', 'git:'].includes(url.protocol) || url.hostname === '') return [];
    url.password = '';
    if (url.protocol !== 'ssh:') url.username = '';
    url.search = '';
    url.hash = '';
    return [url.href];
  } catch {
    return [];
  }
}

function refOf(value: unknown): PushedRef | undefined {
  if (!isObject(value)) return undefined;
  const ref = textOf(value, 'ref');
  if (ref === undefined || !ref.startsWith('refs/') || ref.length > maxRefLength || hasControls(ref)) {
    return undefined;
  }
  const after = fieldOf(value, 'after');
  if (after === null || fieldOf(value, 'deleted') === true) return { ref, after: undefined };
  if (after === '') return { ref, after };
  if (typeof after !== 'string' || !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(after)) return undefined;
  return { ref, after: /^0+$/.test(after) ? undefined : after };
}

function hasControls(text: string): boolean {
  return /[^\P{C}]/u.test(text);
}
