/**
 * The contract of the store as tests: every implementation registers them with `storeContract` and passes them
 * whole. They use nothing but the interface, and two Store instances on one place stand for two processes.
 */
import { describe } from 'vitest';
import { claimingContract } from './contract/claiming.ts';
import { keepingContract } from './contract/keeping.ts';
import type { StorePlace } from './contract/kit.ts';
import { publishingContract } from './contract/publishing.ts';
import { purgingContract } from './contract/purging.ts';
import { quarantiningContract } from './contract/quarantining.ts';
import { sumdbContract } from './contract/sumdb.ts';
import { sumdbStateContract } from './contract/sumdb-state.ts';
import { trustingContract } from './contract/trusting.ts';
import { withdrawingContract } from './contract/withdrawing.ts';

/** Registers the suite. `makePlace` is called before each test. */
export function storeContract(name: string, makePlace: () => Promise<StorePlace>): void {
  describe(`store contract: ${name}`, () => {
    publishingContract(makePlace);
    keepingContract(makePlace);
    purgingContract(makePlace);
    claimingContract(makePlace);
    sumdbContract(makePlace);
    sumdbStateContract(makePlace);
    trustingContract(makePlace);
    quarantiningContract(makePlace);
    withdrawingContract(makePlace);
  });
}
