/** What `modferry verify` counts, and what it concludes from that. */
import type { Treated } from '../scrub/treatment.ts';
import { CliError } from './cli-error.ts';
import { formatSize, plural } from './format.ts';
import { faultsOf } from './store-faults.ts';

/** Causes that are told by name; further ones are counted together. */
const maxCauses = 50;
const otherCauses = 'other causes';

/** What was asked for. */
export interface TallyOptions {
  readonly isProving: boolean;
  readonly isRepairing: boolean;
  readonly isUnprovenAllowed: boolean;
}

export class VerifyTally {
  readonly #options: TallyOptions;
  readonly #causes = new Map<string, number>();
  versions = 0;
  artifacts = 0;
  bytes = 0;
  faults = 0;
  /** Faults of what was fetched again. */
  healed = 0;
  /** Faults of what was recorded anew. */
  renewed = 0;
  #proven = 0;
  #unproven = 0;
  /** Checksums are off for them. */
  #exempt = 0;
  /** Not what they should be, and released by an operator who knew it. */
  #released = 0;

  constructor(options: TallyOptions) {
    this.#options = options;
  }

  add(treated: Treated): void {
    const { checked, proof, remedy } = treated;
    const faults = faultsOf(treated).length;
    this.artifacts += 1;
    this.bytes += checked.sizeBytes;
    this.faults += faults;
    if (remedy?.outcome === 'healed') this.healed += faults;
    if (remedy?.outcome === 'renewed') this.renewed += faults;
    if (proof?.state === 'proven') this.#proven += 1;
    if (proof?.state === 'exempt') this.#exempt += 1;
    if (proof?.state === 'released') this.#released += 1;
    if (proof?.state === 'unproven') this.#addUnproven(proof.reason);
  }

  get json(): object {
    const { isProving, isRepairing } = this.#options;
    const { versions, artifacts, bytes, faults, healed, renewed } = this;
    const [proven, unproven, exempt, released] = [this.#proven, this.#unproven, this.#exempt, this.#released];
    const causes = Object.fromEntries(this.#causes);
    return {
      versions,
      artifacts,
      bytes,
      faults,
      ...(isProving ? { proven, unproven, exempt, released, causes } : {}),
      ...(isRepairing ? { healed, renewed } : {}),
    };
  }

  /** One line, and one for each cause that left something unproven. */
  get text(): string {
    const { versions, artifacts, bytes, faults } = this;
    const what = `${plural(artifacts, 'artifact')} of ${plural(versions, 'version')} (${formatSize(bytes)})`;
    const parts = [faults === 0 ? 'no faults' : plural(faults, 'fault')];
    if (this.healed > 0) parts.push(`${this.healed} healed`);
    if (this.renewed > 0) parts.push(`${this.renewed} recorded anew`);
    if (this.#options.isProving) parts.push(`${this.#proven} proven`, `${this.#unproven} unproven`);
    if (this.#exempt > 0) parts.push(`${this.#exempt} with checksums off`);
    if (this.#released > 0) parts.push(`${this.#released} released by an operator`);
    const causes = [...this.#causes].map(([cause, count]) => `  ${count} unproven: ${cause}\n`);
    return `verified ${what}: ${parts.join(', ')}\n${causes.join('')}`;
  }

  /** Throws CliError `failed` unless all is well by now. */
  conclude(dataDir: string): void {
    const { isRepairing, isProving, isUnprovenAllowed } = this.#options;
    if (this.faults > this.healed + this.renewed) {
      const advice = isRepairing
        ? 'what is in quarantine is fetched again by the next request'
        : 'purge these versions so that they are fetched again, or use --repair';
      throw new CliError('failed', `${plural(this.faults, 'fault')} in ${dataDir}; ${advice}`);
    }
    if (isProving && this.#unproven > 0 && !isUnprovenAllowed) {
      const what = plural(this.#unproven, 'artifact');
      throw new CliError('failed', `${what} could not be proven; --allow-unproven takes that for good`);
    }
  }

  #addUnproven(reason: string): void {
    this.#unproven += 1;
    const cause = this.#causes.has(reason) || this.#causes.size < maxCauses ? reason : otherCauses;
    this.#causes.set(cause, (this.#causes.get(cause) ?? 0) + 1);
  }
}
