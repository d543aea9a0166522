/**
 * Whether a delivery is from the forge that shares a secret with us. Everything is compared in constant time and over the
 * raw body; why a signature is wrong is never told.
 * @see https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 * @see https://docs.gitlab.com/user/project/integrations/webhooks/ (X-Gitlab-Token, and the signing token)
 * @see https://docs.gitea.com/usage/webhooks
 * @see https://help.gitee.com/webhook/how-to-verify-webhook-keys
 * @see https://www.standardwebhooks.com/ (webhook-id, webhook-timestamp, webhook-signature)
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Forge } from './types.ts';

/** Lower-case names, one value each. */
export type WebhookHeaders = Readonly<Record<string, string | undefined>>;

export interface SignedParts {
  readonly headers: WebhookHeaders;
  readonly body: Buffer;
  readonly secret: string;
  /** Wall clock, milliseconds. */
  readonly nowMs: number;
}

/** A signed time may differ from ours by so much. */
export const maxSkewMs = 5 * 60_000;
/** In one header, while secrets change. */
const maxSignatures = 10;

export function isFromForge(forge: Forge, parts: SignedParts): boolean {
  // An empty secret would sign everything.
  return parts.secret !== '' && verifiers[forge](parts);
}

const verifiers: Readonly<Record<Forge, (parts: SignedParts) => boolean>> = {
  github: ({ headers, body, secret }) => isHexOf(prefixed(headers['x-hub-signature-256']), body, secret),
  gitea: ({ headers, body, secret }) => {
    const given =
      headers['x-forgejo-signature'] ??
      headers['x-gitea-signature'] ??
      prefixed(headers['x-hub-signature-256']);
    return isHexOf(given, body, secret);
  },
  gitlab: (parts) => isStandardSigned(parts) || isSame(parts.headers['x-gitlab-token'], parts.secret),
  gitee: (parts) => isSame(parts.headers['x-gitee-token'], parts.secret) || isGiteeSigned(parts),
  generic: isGenericSigned,
};

/**
 * The body is signed and the id is not: whoever has recorded a delivery can send it under any id. Where the id is signed,
 * or a password is sent, the body tells no more than the id does.
 */
export const signsBodyOnly: Readonly<Record<Forge, boolean>> = {
  github: true,
  gitea: true,
  gitlab: false,
  gitee: false,
  generic: true,
};

function prefixed(value: string | undefined): string | undefined {
  return value?.startsWith('sha256=') === true ? value.slice('sha256='.length) : undefined;
}

function isHexOf(given: string | undefined, body: Buffer | string, secret: string): boolean {
  return isSame(given?.toLowerCase(), createHmac('sha256', secret).update(body).digest('hex'));
}

/** Hashed first: the time tells neither where texts differ nor how long they are. */
function isSame(given: string | undefined, wanted: string): boolean {
  const [a, b] = [given ?? '', wanted].map((text) => createHash('sha256').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b) && given !== undefined;
}

/** `v1,BASE64` over `ID.TIMESTAMP.BODY`; several are told apart by spaces, while secrets change. */
function isStandardSigned({ headers, body, secret, nowMs }: SignedParts): boolean {
  const [id, time, given] = [
    headers['webhook-id'],
    headers['webhook-timestamp'],
    headers['webhook-signature'],
  ];
  if (id === undefined || time === undefined || given === undefined) return false;
  const prefix = 'whsec_';
  const key = secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), 'base64') : secret;
  const wanted = createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest('base64');
  const isRight = given
    .split(' ', maxSignatures)
    .map((each) => isSame(each, `v1,${wanted}`))
    .includes(true);
  return isRight && isRecent(time, 1_000, nowMs);
}

/** The time alone is signed, with the secret as key and as text. */
function isGiteeSigned({ headers, secret, nowMs }: SignedParts): boolean {
  const time = headers['x-gitee-timestamp'] ?? '';
  const given = headers['x-gitee-token'] ?? '';
  const wanted = createHmac('sha256', secret).update(`${time}\n${secret}`).digest('base64');
  const isRight = [isSame(given, wanted), isSame(given, encodeURIComponent(wanted))].includes(true);
  return isRight && isRecent(time, 1, nowMs);
}

/** `t=UNIX,v1=HEX` over `UNIX.BODY`. */
function isGenericSigned({ headers, body, secret, nowMs }: SignedParts): boolean {
  const parts = /^t=(\d{1,15}),v1=([0-9A-Fa-f]{64})$/.exec(headers['x-modferry-signature'] ?? '');
  const [, time = '', given] = parts ?? [];
  const wanted = createHmac('sha256', secret).update(`${time}.`).update(body).digest('hex');
  return isSame(given?.toLowerCase(), wanted) && isRecent(time, 1_000, nowMs);
}

function isRecent(time: string, unitMs: number, nowMs: number): boolean {
  return /^\d{1,15}$/.test(time) && Math.abs(nowMs - Number(time) * unitMs) <= maxSkewMs;
}
