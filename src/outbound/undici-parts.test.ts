import * as undici from 'undici';
import { describe, expect, it } from 'vitest';
import { Agent, Pool } from './undici-parts.ts';

describe('the parts of undici', () => {
  it('are the very classes that its index exports', () => {
    expect([Agent, Pool]).toEqual([undici.Agent, undici.Pool]);
  });

  it('can ask', async () => {
    const agent = new Agent();

    expect('request' in agent).toBe(true);
    await agent.close();
  });
});
