/**
 * Who brings these credentials. What was proven is remembered by a keyed hash of header and address, good for a minute
 * and wrong for 5 s, so that a known asker costs no more than that hash; checks of the same credentials are shared.
 */
import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { reasonOf } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { SharedWork } from '../lib/shared-work.ts';
import type { AccessSetup, RevisedAuthenticator } from './access-options.ts';
import { countedAddress } from './address.ts';
import { maxAuthorizationBytes, parseAuthorization } from './credentials.ts';
import { type Admission, type FailureLimits, foldedAccount, type Refusal } from './failure-limits.ts';
import { tokenIn } from './tokens/token-text.ts';
import type { Authenticator, Credentials, Identity } from './types.ts';

const goodForMs = 60_000;
const wrongForMs = 5_000;
/** The very same wrong credentials are one failure for so long: a job with an old password guesses nothing. */
const sameFailureMs = 60_000;
const maxRemembered = 10_000;

export type Proof =
  | { readonly kind: 'proven'; readonly identity: Identity }
  | { readonly kind: 'wrong' | 'malformed' }
  /** Too many failures before: not even looked at. */
  | { readonly kind: 'locked'; readonly retryAfterMs: number; readonly by: Refusal['by'] }
  | { readonly kind: 'unavailable'; readonly authenticator: string };

/** Told when an authenticator could not say anything. `reason` is a sentence without secrets. */
export type OnUnavailable = (authenticator: string, reason: string) => void;

interface Good {
  readonly kind: 'good';
  readonly identity: Identity;
  readonly authenticator: Authenticator;
  /** Of that authenticator, when it was asked. */
  readonly revision: number;
  /** True: a password, which may be found by trying. */
  readonly isGuessable: boolean;
  /** Monotonic. Afterwards it only says that this asker was proven from this address before. */
  readonly untilMs: number;
}

interface Wrong {
  readonly kind: 'wrong';
  /** Of all authenticators together. */
  readonly revision: number;
  readonly untilMs: number;
  readonly countedUntilMs: number;
}

const malformed: Proof = { kind: 'malformed' };
const wrong: Proof = { kind: 'wrong' };

export class Authentication {
  readonly #clock: Clock;
  readonly #authenticators: AccessSetup['authenticators'];
  readonly #limits: FailureLimits;
  readonly #onUnavailable: OnUnavailable;
  /** Of this process alone: what is kept in memory is of no use elsewhere. */
  readonly #key: KeyObject = createSecretKey(randomBytes(32));
  readonly #known = new LRUCache<string, Good | Wrong>({ max: maxRemembered });
  readonly #underWay = new Map<string, SharedWork<Proof>>();

  constructor(
    clock: Clock,
    authenticators: AccessSetup['authenticators'],
    limits: FailureLimits,
    onUnavailable: OnUnavailable,
  ) {
    this.#clock = clock;
    this.#authenticators = authenticators;
    this.#limits = limits;
    this.#onUnavailable = onUnavailable;
  }

  /** False: nobody can prove anything here, and an `Authorization` header says nothing to us. */
  get isInUse(): boolean {
    return this.#authenticators.length > 0;
  }

  /** Entries in memory. */
  get size(): number {
    return this.#known.size + this.#underWay.size;
  }

  /** What is known now. `address` is a normal one. Undefined: `prove` has to ask. */
  known(authorization: string, address: string): Proof | undefined {
    if (authorization.length > maxAuthorizationBytes) return malformed;
    const found = this.#known.get(this.#keyOf(authorization, address));
    const nowMs = this.#clock.monotonic();
    if (found === undefined || found.untilMs <= nowMs) return undefined;
    if (found.kind === 'wrong') return found.revision === this.#revision() ? wrong : undefined;
    if (found.revision !== revisionOf(found.authenticator)) return undefined;
    const { expiresAtMs } = found.identity;
    if (expiresAtMs !== undefined && expiresAtMs <= this.#clock.now()) return undefined;
    // Else whoever guesses would be told by us, faster than by any check, that a guess is right.
    if (found.isGuessable) {
      const retryAfterMs = this.#limits.lockedMs(countedAddress(address));
      if (retryAfterMs > 0) return { kind: 'locked', retryAfterMs, by: 'address' };
    }
    return { kind: 'proven', identity: found.identity };
  }

  /** Asks the authenticators where nothing is known. Rejects with the signal's reason. */
  async prove(authorization: string, address: string, signal: AbortSignal): Promise<Proof> {
    const known = this.known(authorization, address);
    if (known !== undefined) return known;
    const credentials = parseAuthorization(authorization);
    if (credentials === undefined) return malformed;
    const key = this.#keyOf(authorization, address);
    let work = this.#underWay.get(key);
    if (work === undefined || work.cancelled) {
      const begun = new SharedWork((stop) => this.#check(key, credentials, countedAddress(address), stop));
      work = begun;
      this.#underWay.set(key, begun);
      const forget = (): void => {
        if (this.#underWay.get(key) === begun) this.#underWay.delete(key);
      };
      begun.promise.then(forget, forget);
    }
    return await work.join(signal);
  }

  async #check(key: string, credentials: Credentials, address: string, signal: AbortSignal): Promise<Proof> {
    const before = this.#known.get(key);
    const isCounted = before?.kind !== 'wrong' || before.countedUntilMs <= this.#clock.monotonic();
    // 256 random bits are not found by trying: a good token passes from wherever, and only wrong ones are counted.
    if (tokenIn(credentials) !== undefined) {
      const proof = await this.#ask(key, credentials, isCounted, signal);
      if (proof.kind !== 'wrong' || !isCounted || this.#limits.count(address)) return proof;
      return { kind: 'locked', retryAfterMs: this.#limits.lockedMs(address), by: 'address' };
    }
    const isProvenHere = before?.kind === 'good';
    const account =
      credentials.kind === 'basic' && !isProvenHere
        ? this.#hmac(`account ${foldedAccount(credentials.username)}`)
        : undefined;
    const answer = await this.#limits.admit({ address, account }, signal);
    if (!answer.isAdmitted) return { kind: 'locked', retryAfterMs: answer.retryAfterMs, by: answer.by };
    return await this.#askUnder(answer, key, credentials, isCounted, signal);
  }

  async #askUnder(
    admission: Admission,
    key: string,
    credentials: Credentials,
    isCounted: boolean,
    signal: AbortSignal,
  ): Promise<Proof> {
    try {
      const proof = await this.#ask(key, credentials, isCounted, signal);
      admission.settle(proof.kind === 'wrong' && isCounted);
      return proof;
    } finally {
      // Also when it was broken off: nobody learnt anything.
      admission.settle(false);
    }
  }

  async #ask(key: string, credentials: Credentials, isCounted: boolean, signal: AbortSignal): Promise<Proof> {
    // Taken before anybody is asked: what changes meanwhile makes the answer an old one.
    const revision = this.#revision();
    const isToken = tokenIn(credentials) !== undefined;
    let silent: string | undefined;
    for (const authenticator of this.#authenticators) {
      const ownRevision = revisionOf(authenticator);
      let answer: Identity | 'wrong' | 'other';
      try {
        answer = await authenticator.authenticate(credentials, signal);
      } catch (error) {
        if (signal.aborted) throw reasonOf(signal);
        this.#onUnavailable(authenticator.name, messageOf(error));
        silent ??= authenticator.name;
        continue;
      }
      if (answer === 'other') continue;
      // Whoever could not answer might have known better.
      if (answer === 'wrong') break;
      const { expiresAtMs } = answer;
      if (expiresAtMs !== undefined && expiresAtMs <= this.#clock.now()) break;
      this.#known.set(key, {
        kind: 'good',
        identity: answer,
        authenticator,
        revision: ownRevision,
        isGuessable: credentials.kind === 'basic' && !isToken && answer.kind === 'user',
        untilMs: this.#clock.monotonic() + goodForMs,
      });
      return { kind: 'proven', identity: answer };
    }
    if (silent !== undefined) return { kind: 'unavailable', authenticator: silent };
    const nowMs = this.#clock.monotonic();
    const before = this.#known.get(key);
    const countedUntilMs =
      !isCounted && before?.kind === 'wrong' ? before.countedUntilMs : nowMs + sameFailureMs;
    this.#known.set(key, { kind: 'wrong', revision, untilMs: nowMs + wrongForMs, countedUntilMs });
    return wrong;
  }

  #keyOf(authorization: string, address: string): string {
    return this.#hmac(`${address}\n${authorization}`);
  }

  #hmac(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64');
  }

  #revision(): number {
    let sum = 0;
    for (const authenticator of this.#authenticators) sum += revisionOf(authenticator);
    return sum;
  }
}

function revisionOf(authenticator: Authenticator | RevisedAuthenticator): number {
  return 'revision' in authenticator ? authenticator.revision : 0;
}
