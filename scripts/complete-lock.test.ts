import { describe, expect, it } from 'vitest';
import { missingEntries } from './complete-lock.ts';

describe('missingEntries', () => {
  it('names the platform packages that a lock file lacks, with the platform they are for', () => {
    const missing = missingEntries({
      '': { optionalDependencies: { 'ours-linux-x64': '1.0.0' } },
      'node_modules/tool': {
        dev: true,
        optionalDependencies: {
          '@tool/linux-x64-musl': '2.0.0',
          '@tool/darwin-arm64': '2.0.0',
          ranged: '^1.0.0',
        },
      },
      'node_modules/@tool/darwin-arm64': { version: '2.0.0' },
    });

    expect(missing).toEqual({
      'node_modules/@tool/linux-x64-musl': {
        version: '2.0.0',
        dev: true,
        optional: true,
        os: ['linux'],
        cpu: ['x64'],
        libc: ['musl'],
      },
    });
  });
});
