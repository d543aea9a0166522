import { describe, expect, it } from 'vitest';
import { faultsIn } from './check-borders.ts';

describe('import borders', () => {
  it('lets a part import the parts under it', () => {
    const file = { file: 'src/proxy/a.ts', text: `import { x } from '../store/store.ts';` };

    expect(faultsIn([file])).toEqual([]);
  });

  it('refuses an import that goes up', () => {
    const file = { file: 'src/store/a.ts', text: `import { x } from '../proxy/proxy.ts';` };

    expect(faultsIn([file])).toHaveLength(1);
  });

  it('refuses an adapter outside the composition root', () => {
    const file = { file: 'src/proxy/a.ts', text: `import { x } from '../store/fs/fs-store.ts';` };

    expect(faultsIn([file])).toHaveLength(1);
  });

  it('refuses a folder that no rule names', () => {
    expect(faultsIn([{ file: 'src/newcomer/a.ts', text: '' }])).toHaveLength(1);
  });
});
