/** Deliveries of a push as each forge sends and signs them, and forged ones. */
import { createHmac } from 'node:crypto';
import type { Forge } from '../../src/webhooks/types.ts';

export interface Delivered {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface PushTold {
  /** Of the repository's web page; with `.git` it is cloned. */
  readonly url: string;
  readonly ref: string;
  /** New commit. */
  readonly after: string;
  readonly secret: string;
}

let count = 0;

/** Each has an id and a body of its own. */
export function signedDelivery(forge: Forge, push: PushTold): Delivered {
  count += 1;
  return senders[forge]({ ...push, before: String(count).padStart(40, '0') }, `delivery-${count}`);
}

interface Sent extends PushTold {
  /** Commit before the push. */
  readonly before: string;
}

const senders: Readonly<Record<Forge, (push: Sent, id: string) => Delivered>> = {
  github(push, id) {
    const { ref, before, after, secret } = push;
    const body = JSON.stringify({ ref, before, after, deleted: false, repository: addresses(push) });
    const event = { 'x-github-event': 'push', 'x-github-delivery': id };
    return { headers: { ...event, 'x-hub-signature-256': `sha256=${hmac(secret, body)}` }, body };
  },
  gitlab({ url, ref, before, after, secret }, id) {
    const isTag = ref.startsWith('refs/tags/');
    const project = { git_http_url: `${url}.git`, web_url: url };
    const body = JSON.stringify({ object_kind: isTag ? 'tag_push' : 'push', ref, before, after, project });
    const event = { 'x-gitlab-event': isTag ? 'Tag Push Hook' : 'Push Hook', 'x-gitlab-event-uuid': id };
    return { headers: { ...event, 'x-gitlab-token': secret }, body };
  },
  gitea(push, id) {
    const { ref, before, after, secret } = push;
    const body = JSON.stringify({ ref, before, after, repository: addresses(push) });
    const event = { 'x-gitea-event': 'push', 'x-gitea-delivery': id };
    return { headers: { ...event, 'x-gitea-signature': hmac(secret, body) }, body };
  },
  gitee(push) {
    const { ref, before, after, secret } = push;
    // It names no delivery: the body tells them apart.
    const body = JSON.stringify({ ref, before, after, repository: addresses(push) });
    const time = String(Date.now());
    const signature = createHmac('sha256', secret).update(`${time}\n${secret}`).digest('base64');
    const event = { 'x-gitee-event': ref.startsWith('refs/tags/') ? 'Tag Push Hook' : 'Push Hook' };
    return { headers: { ...event, 'x-gitee-timestamp': time, 'x-gitee-token': signature }, body };
  },
  generic({ url, ref, before, after, secret }, id) {
    const body = JSON.stringify({ urls: [`${url}.git`], refs: [{ ref, before, after }] });
    const signature = genericSignature(secret, Math.floor(Date.now() / 1000), body);
    return { headers: { 'x-modferry-signature': signature, 'x-modferry-delivery': id }, body };
  },
};

/** The same body and proof under another id. */
export function underAnotherId({ headers, body }: Delivered): Delivered {
  const changed = Object.entries(headers).map(([name, value]) =>
    value.startsWith('delivery-') ? [name, `${value}-again`] : [name, value],
  );
  return { headers: Object.fromEntries(changed) as Delivered['headers'], body };
}

export function genericSignature(secret: string, unixS: number, body: string): string {
  return `t=${unixS},v1=${hmac(secret, `${unixS}.${body}`)}`;
}

const proofs = [
  'x-hub-signature-256',
  'x-gitlab-token',
  'x-gitea-signature',
  'x-gitee-token',
  'x-modferry-signature',
];

/** Without its signature, with a wrong one, with an empty one, and with another body. */
export function forgeries(forge: Forge, { headers, body }: Delivered): Delivered[] {
  const name = proofs.find((each) => headers[each] !== undefined) ?? '';
  const { [name]: proof = '', ...rest } = headers;
  const other = `${proof.slice(0, -2)}${proof.at(-2) === 'a' ? 'b' : 'a'}${proof.slice(-1)}`;
  const forged = [rest, { ...rest, [name]: other }, { ...rest, [name]: '' }].map((each) => ({
    headers: each,
    body,
  }));
  // GitLab's token and Gitee's signature are not over the body.
  return ['gitlab', 'gitee'].includes(forge) ? forged : [...forged, { headers, body: `${body} ` }];
}

function addresses({ url }: PushTold) {
  return { clone_url: `${url}.git`, html_url: url };
}

function hmac(secret: string, text: string): string {
  return createHmac('sha256', secret).update(text).digest('hex');
}
