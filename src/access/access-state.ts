/** One snapshot of rules and settings, compiled: what a decision looks at. */
import type { Clock } from '../lib/clock.ts';
import type { AccessRoute, AccessSetup, RateLimit } from './access-options.ts';
import { AddressList } from './address.ts';
import { Authentication, type OnUnavailable } from './authentication.ts';
import { certificateReader } from './certificate-identity.ts';
import { type CompiledRules, compileRules } from './decision.ts';
import { defaultFailuresPerMinute, FailureLimits } from './failure-limits.ts';
import { RateLimiter } from './rate-limiter.ts';
import type { ClientCertificate, Identity } from './types.ts';

export interface CompiledRoute {
  readonly route: AccessRoute;
  readonly rules: CompiledRules;
  readonly allow: AddressList;
  readonly deny: AddressList;
  readonly isOpen: boolean;
}

/** All of one snapshot. */
export interface AccessState {
  readonly setup: AccessSetup;
  readonly byRoute: Map<AccessRoute, CompiledRoute>;
  readonly last: CompiledRoute | undefined;
  readonly allow: AddressList;
  readonly deny: AddressList;
  readonly trustedProxies: AddressList;
  readonly perIdentity: RateLimiter | undefined;
  readonly perAddress: RateLimiter | undefined;
  readonly authentication: Authentication;
  readonly failures: FailureLimits;
  readonly identityOf: ((certificate: ClientCertificate) => Identity | undefined) | undefined;
}

export interface CompileDeps {
  readonly clock: Clock;
  readonly onUnavailable: OnUnavailable;
}

/** What is counted goes on from `before` where the limits are the same. Throws ModferryError as `createAccess`. */
export function compileState(
  setup: AccessSetup,
  { clock, onUnavailable }: CompileDeps,
  before: AccessState | undefined,
): AccessState {
  const { options, routes, authenticators } = setup;
  const allow = new AddressList(options.allow);
  const deny = new AddressList(options.deny);
  const isUncounted =
    allow.isEmpty && deny.isEmpty && options.perAddress === undefined && options.perIdentity === undefined;
  const byRoute = new Map(routes.routes.map((route) => [route, compileRoute(route, isUncounted)]));
  const last = routes.routes.at(-1);
  const perMinute = options.failuresPerMinute ?? defaultFailuresPerMinute;
  const failures =
    before?.failures.perMinute === perMinute ? before.failures : new FailureLimits(clock, perMinute);
  return {
    setup,
    byRoute,
    last: last === undefined ? undefined : byRoute.get(last),
    allow,
    deny,
    trustedProxies: new AddressList(options.trustedProxies),
    perIdentity: limiterOf(clock, options.perIdentity, before?.perIdentity),
    perAddress: limiterOf(clock, options.perAddress, before?.perAddress),
    authentication: new Authentication(clock, authenticators, failures, onUnavailable),
    failures,
    identityOf:
      options.certificate === undefined
        ? undefined
        : whileValid(certificateReader(options.certificate), clock),
  };
}

/** TLS looks at a certificate once; a connection may outlive it. */
function whileValid(
  read: (certificate: ClientCertificate) => Identity | undefined,
  clock: Clock,
): (certificate: ClientCertificate) => Identity | undefined {
  return (certificate) => {
    const { expiresAtMs } = certificate;
    return expiresAtMs !== undefined && expiresAtMs <= clock.now() ? undefined : read(certificate);
  };
}

function limiterOf(
  clock: Clock,
  limit: RateLimit | undefined,
  before: RateLimiter | undefined,
): RateLimiter | undefined {
  if (limit === undefined) return undefined;
  const isSame = before?.limit.burst === limit.burst && before.limit.perSecond === limit.perSecond;
  return isSame ? before : new RateLimiter(clock, limit);
}

function compileRoute(route: AccessRoute, isUncounted: boolean): CompiledRoute {
  const rules = compileRules(route.access);
  const allow = new AddressList(route.access.allow);
  const deny = new AddressList(route.access.deny);
  const isOpen = isUncounted && allow.isEmpty && deny.isEmpty && rules.read.hasAnonymous;
  return { route, rules, allow, deny, isOpen };
}

export function compiledFor(state: AccessState, path: string | undefined): CompiledRoute | undefined {
  return path === undefined ? state.last : state.byRoute.get(state.setup.routes.of(path));
}
