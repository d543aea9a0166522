/**
 * What goes on behind the requests: the scrub, the proving of what was published unproven, healing by order, and taking
 * out what its route keeps for a time only.
 */
import type { TrustedSums } from '../checksums/trusted-sums.ts';
import type { Config } from '../config/snapshot.ts';
import type { ArtifactKey } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { EventBus } from '../lib/event-bus.ts';
import type { RouteTable } from '../route/types.ts';
import { type Heal, type HealResult, healThrough } from '../scrub/heal.ts';
import { type LateProofEvents, LateProofs } from '../scrub/late-proofs.ts';
import { Retention } from '../scrub/retention.ts';
import { Scrub } from '../scrub/scrub.ts';
import { openScrubState } from '../scrub/state-file.ts';
import type { ScrubState } from '../scrub/types.ts';
import { Layout } from '../store/fs/layout.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';
import type { Answering } from './answering.ts';
import type { Buses } from './buses.ts';
import type { Prover } from './prover.ts';

export interface UpkeepDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly buses: Buses;
  readonly answering: Answering;
  readonly prover: Prover;
  readonly trusted: TrustedSums;
  /** Absolute. */
  readonly dataDir: string;
  readonly instanceId: string;
  /** Read at each use, so that a reload changes it. */
  config(): Config;
  routes(): RouteTable;
  readonly log: Logger;
}

export class Upkeep {
  readonly #deps: UpkeepDeps;
  readonly #state: ScrubState;
  readonly #scrub: Scrub;
  readonly #late: LateProofs;
  readonly #retention: Retention;
  readonly #heal: Heal;
  readonly #zips = new ZipVerifier({ threads: 1 });
  readonly #orders = new AbortController();
  /** Stopped by order, until started by order or by the next start of the process. */
  #isHalted = false;

  constructor(deps: UpkeepDeps) {
    const { clock, store, buses, answering, prover, dataDir, instanceId } = deps;
    this.#deps = deps;
    this.#state = openScrubState(dataDir, clock);
    this.#heal = healThrough({ ingest: answering.ingest, events: buses.ingest, store, clock });
    const heal = this.#heal;
    const judge = prover.judge;
    this.#scrub = new Scrub({
      clock,
      store,
      paths: new Layout(dataDir),
      zips: this.#zips,
      state: this.#state,
      instance: instanceId,
      events: buses.scrub,
      judge,
      heal,
      options: () => this.#deps.config().scrub,
    });
    const late = new EventBus<LateProofEvents>();
    this.#late = new LateProofs({ clock, store, judge, heal, events: late, ingest: buses.ingest });
    const { log } = deps;
    this.#retention = new Retention({
      clock,
      store,
      isNeeded: () => deps.routes().routes.some(({ keepMs }) => keepMs !== undefined),
      keepMs: (path) => deps.routes().of(path).keepMs,
      onRemoved: (module, version, bytes) =>
        log.info({ module, version, bytes }, 'kept long enough, removed'),
      onFailed: (error) =>
        log.warn({ reason: messageOf(error) }, 'what is kept long enough cannot be removed'),
    });
    this.#tell(late);
    deps.trusted.onChange(() => this.#late.linesChanged());
    // A tree that has grown was reached.
    buses.sumdb.on('head', () => this.#late.databaseSeen());
    // A command may have taken a proof back.
    store.onTrust(() => this.#late.moreWaits());
  }

  start(): void {
    this.adopt();
    this.#late.start();
    this.#retention.start();
  }

  /** After a reload: the scrub begins, or rests, as the configuration in force says. */
  adopt(): void {
    if (!this.#deps.config().scrub.isEnabled) void this.#scrub.stop();
    else if (!this.#isHalted) this.#scrub.start();
  }

  startScrub(): void {
    this.#isHalted = false;
    this.#scrub.startNow();
  }

  /** The pass under way stays where it is until it is started again, or the process is. */
  async stopScrub(): Promise<void> {
    this.#isHalted = true;
    await this.#scrub.stop();
  }

  /** What the admin socket tells of the scrub of this folder. */
  async scrubStatus(): Promise<object> {
    const { phase, counts } = this.#scrub.status;
    const progress = await this.#state.read().catch(() => undefined);
    const last = progress?.last;
    const { everyMs, isEnabled } = this.#deps.config().scrub;
    return {
      state: phase,
      isEnabled,
      holder: progress?.holder?.instance ?? null,
      ...(counts ?? progress?.pass?.counts),
      last: last === undefined ? null : { ...last, finishedAt: new Date(last.finishedAtMs).toISOString() },
      nextAt:
        last === undefined || progress?.pass !== undefined || !isEnabled
          ? null
          : new Date(last.finishedAtMs + everyMs).toISOString(),
    };
  }

  /**
   * Fetches an artifact again that was taken out, and compares it with what quarantine tells of the one before.
   * `present`: it is stored, and nothing is said against our copy; then nothing is done.
   */
  async heal(key: ArtifactKey): Promise<HealResult | { readonly outcome: 'present' }> {
    const { quarantine } = this.#deps.store;
    const suspects = (await quarantine.of(key)).filter(({ settled }) => settled !== true);
    const isOurs = suspects.some(({ source }) => source === 'store');
    if (!isOurs && (await this.#deps.store.has(key))) return { outcome: 'present' };
    const before = suspects.find(({ expectedSha256, expectedH1 }) => expectedSha256 ?? expectedH1);
    const expected = { sha256: before?.expectedSha256 ?? '', h1: before?.expectedH1 };
    const result = await this.#heal(key, expected, this.#orders.signal);
    if (result.outcome === 'healed') this.#deps.buses.scrub.emit('healed', { key, source: result.source });
    return result;
  }

  async close(): Promise<void> {
    this.#orders.abort(new Error('modferry is stopping'));
    await Promise.all([this.#scrub.close(), this.#late.close(), this.#retention.stop()]);
    await this.#zips.close();
    this.#deps.trusted.close();
  }

  /** To whoever listens it is all the same which of the two found it. */
  #tell(late: EventBus<LateProofEvents>): void {
    const { scrub } = this.#deps.buses;
    late.on('proven', (event) => scrub.emit('proven', event));
    late.on('failed', (event) => scrub.emit('failed', event));
    late.on('mismatch', ({ key, id, reason, healedBy }) => {
      scrub.emit('rotten', { key, reason, cause: 'mismatch' });
      if (healedBy === undefined) scrub.emit('quarantined', { key, id, reason });
      else scrub.emit('healed', { key, source: healedBy });
    });
  }
}
