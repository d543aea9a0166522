/**
 * The decision engine: where a request comes from, who brings it, and whether they may. It answers at once for whoever
 * is known, and never tells those who may not read a module whether it exists.
 */
import type { Clock } from '../lib/clock.ts';
import type { AccessSetup } from './access-options.ts';
import { type AccessState, type CompileDeps, compiledFor, compileState } from './access-state.ts';
import { clientAddress, countedAddress } from './address.ts';
import type { OnUnavailable, Proof } from './authentication.ts';
import type { Admission, Refusal } from './failure-limits.ts';
import {
  addressDenial,
  closedDenial,
  concluded,
  counted,
  identified,
  isForEverybody,
  judged,
  type Question,
  unproven,
} from './judging.ts';
import { type Access, type Asker, anonymous, type Decision, type Wanted } from './types.ts';

export interface AccessDeps {
  readonly clock: Clock;
  readonly setup: AccessSetup;
  /** Told when an authenticator cannot say anything; for the log. Default: nobody is. */
  readonly onUnavailable?: OnUnavailable;
}

export interface AccessControl extends Access {
  /**
   * For what checks credentials by itself: a place among the trials of this address (of a Decision), or how long it has
   * to wait after too many wrong ones. Rejects with the signal's reason.
   */
  admitTrial(address: string, signal: AbortSignal): Promise<Admission | Refusal>;
  /**
   * Decides by another snapshot from now on; what is counted goes on where the limits are the same. Throws as
   * `createAccess`, and changes nothing then.
   */
  adopt(setup: AccessSetup): void;
  /** Nothing is remembered any more, and everybody is refused. Authenticators are closed by whoever made them. */
  close(): void;
}

/**
 * Throws ModferryError: `bad_range` for an address list, `bad_certificate_rule`. The authenticators are asked in order;
 * without any, an `Authorization` header is not looked at.
 */
export function createAccess(deps: AccessDeps): AccessControl {
  return new Engine(deps);
}

const closedRetryMs = 5_000;

/** Addresses of the server as a whole; nothing is hidden from who asks for nothing. */
const nothing: Wanted = { right: 'admin', path: undefined };

class Engine implements AccessControl {
  readonly #deps: CompileDeps;
  /** Undefined: closed. */
  #state: AccessState | undefined;

  constructor({ clock, setup, onUnavailable = () => {} }: AccessDeps) {
    this.#deps = { clock, onUnavailable };
    this.#state = compileState(setup, this.#deps, undefined);
  }

  adopt(setup: AccessSetup): void {
    if (this.#state !== undefined) this.#state = compileState(setup, this.#deps, this.#state);
  }

  close(): void {
    this.#state = undefined;
  }

  isOpen(path: string | undefined): boolean {
    return this.#state !== undefined && compiledFor(this.#state, path)?.isOpen === true;
  }

  decideNow(asker: Asker, wanted: Wanted): Decision | undefined {
    const question = this.#questionOf(asker, wanted);
    if ('allowed' in question) return question;
    const isLoginSent = bringsLogin(question);
    const proof = isLoginSent ? knownOf(question) : undefined;
    // What everybody may have needs no proof, but where each identity is counted.
    if (isForEverybody(question) && (proof !== undefined || question.state.perIdentity === undefined)) {
      const identity = proof?.kind === 'proven' ? proof.identity : unproven(question, isLoginSent);
      if (question.compiled.isOpen) return { allowed: true, identity, address: question.address };
      return counted(question) ?? judged(question, identity);
    }
    if (!isLoginSent) return counted(question) ?? judged(question, unproven(question, false));
    return proof === undefined ? undefined : (counted(question) ?? concluded(question, proof, judged));
  }

  async decide(asker: Asker, wanted: Wanted, signal: AbortSignal): Promise<Decision> {
    return this.decideNow(asker, wanted) ?? (await this.#prove(asker, wanted, signal, judged));
  }

  async identify(asker: Asker, signal: AbortSignal): Promise<Decision> {
    return await this.#prove(asker, nothing, signal, identified);
  }

  admitAddress(asker: Asker, request: string | undefined): Decision {
    const question = this.#questionOf(asker, { ...nothing, request });
    if ('allowed' in question) return question;
    return counted(question) ?? { allowed: true, identity: anonymous, address: question.address };
  }

  async admitTrial(address: string, signal: AbortSignal): Promise<Admission | Refusal> {
    const { failures } = this.#state ?? {};
    if (failures === undefined) return { isAdmitted: false, retryAfterMs: closedRetryMs, by: 'waiting' };
    return await failures.admit({ address: countedAddress(address), account: undefined }, signal);
  }

  async #prove(
    asker: Asker,
    wanted: Wanted,
    signal: AbortSignal,
    conclude: typeof judged,
  ): Promise<Decision> {
    for (;;) {
      const question = this.#questionOf(asker, wanted);
      if ('allowed' in question) return question;
      // Before anybody is asked: a flood must not reach the directory of users.
      const tooMany = counted(question);
      if (tooMany !== undefined) return tooMany;
      if (!bringsLogin(question)) return conclude(question, unproven(question, false));
      const { authentication } = question.state;
      const proof = await authentication.prove(asker.authorization ?? '', question.address, signal);
      // What was proven by authenticators that were replaced meanwhile is not good any more.
      if (question.state === this.#state) return concluded(question, proof, conclude);
    }
  }

  /** The question, or the answer where it is clear before anybody is known. */
  #questionOf(asker: Asker, wanted: Wanted): Question | Decision {
    const state = this.#state;
    if (state === undefined) return closedDenial(asker.address);
    const address = clientAddress(asker.address, asker.forwardedFor, state.trustedProxies);
    const compiled = compiledFor(state, wanted.path);
    if (compiled === undefined) return closedDenial(address);
    const question = { state, asker, wanted, address, compiled };
    return addressDenial(question) ?? question;
  }
}

function bringsLogin({ state, asker }: Question): boolean {
  return asker.authorization !== undefined && state.authentication.isInUse;
}

function knownOf({ state, asker, address }: Question): Proof | undefined {
  return state.authentication.known(asker.authorization ?? '', address);
}
