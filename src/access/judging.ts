/** From what is known of an asker to the answer, and to what they are told. */
import type { AccessState, CompiledRoute } from './access-state.ts';
import { countedAddress } from './address.ts';
import type { Proof } from './authentication.ts';
import { decideRight, ruleText } from './decision.ts';
import {
  addressText,
  anonymousText,
  closedText,
  forbiddenText,
  hiddenText,
  limitedText,
  lockedText,
  malformedText,
  nobodyText,
  unavailableText,
  wrongText,
} from './denial-texts.ts';
import {
  type Asker,
  anonymous,
  type Decision,
  type DenialCode,
  type Identity,
  type Wanted,
} from './types.ts';

/** How soon one may ask again when an authenticator does not answer. */
const unavailableRetryMs = 5_000;

/** One question, with what was found out so far. */
export interface Question {
  readonly state: AccessState;
  readonly asker: Asker;
  readonly wanted: Wanted;
  readonly address: string;
  readonly compiled: CompiledRoute;
}

interface Denial {
  readonly code: DenialCode;
  readonly text: string;
  readonly rule: string;
  readonly retryAfterMs?: number;
  readonly identity?: Identity;
  readonly isByRules?: boolean;
}

/** The refusal of an address that a list keeps out. */
export function addressDenial(question: Question): Decision | undefined {
  const rule = addressRule(question);
  if (rule === undefined) return undefined;
  return hideable(question, { code: 'forbidden', text: addressText(question.address), rule });
}

/** For whoever comes while the server stops. */
export function closedDenial(address: string): Decision {
  const retryAfterMs = unavailableRetryMs;
  return denied(address, { code: 'unavailable', text: closedText, rule: 'closed', retryAfterMs });
}

/** The rule that keeps this address out; undefined: it may come in. */
function addressRule({ state, compiled, address }: Question): string | undefined {
  const { route } = compiled;
  if (state.deny.has(address)) return `access.deny ${state.deny.entryOf(address) ?? ''}`.trimEnd();
  if (!state.allow.isEmpty && !state.allow.has(address)) return 'access.allow';
  if (compiled.deny.has(address)) {
    return `route ${route.name}: deny ${compiled.deny.entryOf(address) ?? ''}`.trimEnd();
  }
  if (!compiled.allow.isEmpty && !compiled.allow.has(address)) return `route ${route.name}: allow`;
  return undefined;
}

/** By certificate, which counts only where no login was sent; else nobody. */
export function unproven({ state, asker }: Question, isLoginSent: boolean): Identity {
  if (isLoginSent || asker.certificate === undefined) return anonymous;
  return state.identityOf?.(asker.certificate) ?? anonymous;
}

/** The refusal where this address asks too much. Counts the request. */
export function counted({ state, address, wanted }: Question): Decision | undefined {
  const retryAfterMs = state.perAddress?.take(countedAddress(address), wanted.request) ?? 0;
  if (retryAfterMs === 0) return undefined;
  return denied(address, {
    code: 'limited',
    text: limitedText(retryAfterMs),
    rule: 'rate limit of the address',
    retryAfterMs,
  });
}

/** True: a right that everybody has here, so that a wrong login takes nothing away. */
export function isForEverybody({ wanted, compiled }: Question): boolean {
  return wanted.right === 'read' && compiled.rules.read.hasAnonymous;
}

/** `conclude` says what somebody who is known may. */
export function concluded(
  question: Question,
  proof: Proof,
  conclude: (question: Question, identity: Identity) => Decision,
): Decision {
  const { address } = question;
  if (proof.kind !== 'proven' && isForEverybody(question)) return conclude(question, anonymous);
  switch (proof.kind) {
    case 'proven':
      return conclude(question, proof.identity);
    case 'wrong':
      return denied(address, { code: 'unauthenticated', text: wrongText, rule: 'wrong credentials' });
    case 'malformed':
      return denied(address, { code: 'unauthenticated', text: malformedText, rule: 'malformed credentials' });
    case 'locked':
      return denied(address, {
        code: 'limited',
        text: lockedText(proof.retryAfterMs),
        rule: `failed logins (${proof.by})`,
        retryAfterMs: proof.retryAfterMs,
      });
    default:
      return denied(address, {
        code: 'unavailable',
        text: unavailableText(proof.authenticator),
        rule: `${proof.authenticator} does not answer`,
        retryAfterMs: unavailableRetryMs,
      });
  }
}

/** Whether somebody who is known may. Counts the request. */
export function judged(question: Question, identity: Identity): Decision {
  const { compiled, wanted, address } = question;
  const tooMany = countedFor(question, identity);
  if (tooMany !== undefined) return tooMany;
  const verdict = decideRight(compiled.rules, identity, wanted.right, wanted.path);
  if (verdict.kind === 'allowed') return { allowed: true, identity, address };
  const rule = ruleText(compiled.route, wanted.right, verdict.by);
  const isByRules = true;
  if (identity.kind !== 'anonymous') {
    const text = forbiddenText(identity.name, rule);
    return hideable(question, { code: 'forbidden', text, rule, isByRules, identity });
  }
  return verdict.isHopeless
    ? hideable(question, { code: 'forbidden', text: nobodyText(rule), rule, isByRules })
    : hideable(question, { code: 'unauthenticated', text: anonymousText, rule, isByRules });
}

/** Whoever is known may, whoever is not is asked who they are. Counts the request. */
export function identified(question: Question, identity: Identity): Decision {
  const { address } = question;
  const tooMany = countedFor(question, identity);
  if (tooMany !== undefined) return tooMany;
  if (identity.kind !== 'anonymous') return { allowed: true, identity, address };
  return denied(address, { code: 'unauthenticated', text: anonymousText, rule: 'identity' });
}

function countedFor({ state, address, wanted }: Question, identity: Identity): Decision | undefined {
  if (identity.kind === 'anonymous' || state.perIdentity === undefined) return undefined;
  const retryAfterMs = state.perIdentity.take(`${identity.kind}:${identity.name}`, wanted.request);
  if (retryAfterMs === 0) return undefined;
  const rule = 'rate limit of the identity';
  return denied(address, { code: 'limited', text: limitedText(retryAfterMs), rule, retryAfterMs, identity });
}

/** As if it were not there, where that is asked for. Wrong credentials are always told: they are not of this kind. */
function hideable({ state, wanted, address }: Question, denial: Denial): Decision {
  if (!state.setup.options.hide || wanted.right !== 'read') return denied(address, denial);
  return denied(address, { ...denial, code: 'hidden', text: hiddenText });
}

function denied(address: string, denial: Denial): Decision {
  const { code, text, rule, retryAfterMs, identity = anonymous, isByRules = false } = denial;
  return { allowed: false, code, text, retryAfterMs, identity, address, rule, isByRules };
}
