import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isFromForge, maxSkewMs, type WebhookHeaders } from './signatures.ts';
import { genericSignature, hexOf, secret } from './test-webhooks.ts';
import { type Forge, forges } from './types.ts';

const nowMs = Date.UTC(2026, 0, 1);
const body = Buffer.from('{"a":1}');

function isFrom(
  forge: Forge,
  headers: WebhookHeaders,
  changes: { body?: Buffer; secret?: string; nowMs?: number } = {},
) {
  return isFromForge(forge, { headers, body, secret, nowMs, ...changes });
}

function giteeSign(atMs: number): string {
  return createHmac('sha256', secret).update(`${atMs}\n${secret}`).digest('base64');
}

function standard(key: string | Buffer, timeS = nowMs / 1000): WebhookHeaders {
  const signed = createHmac('sha256', key).update(`id-1.${timeS}.`).update(body).digest('base64');
  return { 'webhook-id': 'id-1', 'webhook-timestamp': String(timeS), 'webhook-signature': `v1,${signed}` };
}

const good: readonly [string, Forge, WebhookHeaders][] = [
  ['GitHub', 'github', { 'x-hub-signature-256': `sha256=${hexOf(body)}` }],
  ['Gitea', 'gitea', { 'x-gitea-signature': hexOf(body) }],
  ['Forgejo', 'gitea', { 'x-forgejo-signature': hexOf(body), 'x-gitea-signature': 'other' }],
  ['Gitea by the header of GitHub', 'gitea', { 'x-hub-signature-256': `sha256=${hexOf(body)}` }],
  ['GitLab by token', 'gitlab', { 'x-gitlab-token': secret }],
  ['GitLab by signature', 'gitlab', standard(secret)],
  ['Gitee by password', 'gitee', { 'x-gitee-token': secret }],
  ['Gitee by signature', 'gitee', { 'x-gitee-token': giteeSign(nowMs), 'x-gitee-timestamp': String(nowMs) }],
  [
    'Gitee by escaped signature',
    'gitee',
    { 'x-gitee-token': encodeURIComponent(giteeSign(nowMs)), 'x-gitee-timestamp': String(nowMs) },
  ],
  ['generic', 'generic', { 'x-modferry-signature': genericSignature(body, nowMs) }],
];

/** Vector of the documentation of GitHub. */
const documented = {
  secret: "It's a Secret to Everybody",
  body: Buffer.from('Hello, World!'),
  hex: '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
};

describe('isFromForge', () => {
  it.each(good)('believes %s', (_, forge, headers) => {
    expect(isFrom(forge, headers)).toBe(true);
  });

  it.each(good)('believes no other secret: %s', (_, forge, headers) => {
    expect(isFrom(forge, headers, { secret: 'another' })).toBe(false);
  });

  it.each(good.filter(([name]) => !/token|Gitee/.test(name) || name.includes('header')))(
    'believes no other body: %s',
    (_, forge, headers) => {
      expect(isFrom(forge, headers, { body: Buffer.from('{"a":2}') })).toBe(false);
    },
  );

  it.each(good)('believes each kind of forge its own proof only: %s', (name, forge, headers) => {
    const others = forges.filter((other) => other !== forge && isFrom(other, headers));
    // What GitHub sends is one of the ways of Gitea.
    expect(others).toEqual(name === 'GitHub' ? ['gitea'] : name.includes('of GitHub') ? ['github'] : []);
  });

  it('agrees with the documentation of GitHub', () => {
    expect(isFrom('github', { 'x-hub-signature-256': `sha256=${documented.hex}` }, documented)).toBe(true);
  });

  it('takes the signing token of GitLab, and one of several signatures', () => {
    const key = Buffer.from('0123456789abcdef0123456789abcdef');
    const headers = standard(key);
    const token = `whsec_${key.toString('base64')}`;
    expect(isFrom('gitlab', headers, { secret: token })).toBe(true);
    const several = { ...headers, 'webhook-signature': `v1,AAAA ${headers['webhook-signature']}` };
    expect(isFrom('gitlab', several, { secret: token })).toBe(true);
    expect(isFrom('gitlab', { ...headers, 'webhook-id': 'other' }, { secret: token })).toBe(false);
  });

  it.each([
    ['generic', (atMs: number) => ({ 'x-modferry-signature': genericSignature(body, atMs) })],
    ['gitlab', (atMs: number) => standard(secret, atMs / 1000)],
    ['gitee', (atMs: number) => ({ 'x-gitee-token': giteeSign(atMs), 'x-gitee-timestamp': String(atMs) })],
  ] as const)('wants a time within five minutes where one is signed: %s', (forge, headersAt) => {
    expect(isFrom(forge, headersAt(nowMs - maxSkewMs))).toBe(true);
    expect(isFrom(forge, headersAt(nowMs - maxSkewMs - 1_000))).toBe(false);
    expect(isFrom(forge, headersAt(nowMs + maxSkewMs + 1_000))).toBe(false);
  });

  it.each(forges)('believes nothing without a secret or without a signature: %s', (forge) => {
    expect(isFrom(forge, {})).toBe(false);
    for (const [, of, headers] of good)
      if (of === forge) expect(isFrom(forge, headers, { secret: '' })).toBe(false);
    const empty = {
      'x-gitlab-token': '',
      'x-gitee-token': '',
      'x-hub-signature-256': `sha256=${hexOf(body, 'x')}`,
    };
    expect(isFrom(forge, empty, { secret: '' })).toBe(false);
  });

  it.each([
    'sha256=',
    'sha1=757107ea0eb2509fc211221cce984b8a37570b6d',
    hexOf(body),
    `sha256=${hexOf(body).slice(0, 63)}`,
    `sha256=${hexOf(body)}00`,
    `sha256=${'é'.repeat(64)}`,
    'x'.repeat(50_000),
  ])('is not put off by odd signatures: %s', (value) => {
    expect(isFrom('github', { 'x-hub-signature-256': value })).toBe(false);
    expect(isFrom('generic', { 'x-modferry-signature': value })).toBe(false);
    expect(isFrom('gitlab', { ...standard(secret), 'webhook-signature': value })).toBe(false);
  });
});
