import { describe, expect, it } from 'vitest';
import { type Controls, noControls } from '../health/types.ts';
import {
  controlEvents,
  movedTagEvent,
  reloadedEvent,
  reloadRefusedEvent,
  startedEvent,
} from './service-events.ts';

const nowMs = Date.UTC(2026, 0, 1);

function told(before: Partial<Controls>, after: Partial<Controls>): string[] {
  return controlEvents({ ...noControls, ...before }, { ...noControls, ...after }, nowMs).map(
    ({ kind, severity, upstream = '-', message }) => `${severity} ${kind} ${upstream}: ${message}`,
  );
}

describe('events of the controls', () => {
  it('are none when nothing changed', () => {
    expect(told({ pinned: 'cn', takenOut: ['io'] }, { pinned: 'cn', takenOut: ['io'] })).toEqual([]);
  });

  it('tell of the mode, its end, and who ended it', () => {
    const offline = { mode: 'offline', modeUntilMs: nowMs + 1_800_000 } as const;
    expect(told({}, offline)).toEqual(['warning mode -: the mode is offline for 30m, was normal']);
    expect(told(offline, {})).toEqual(['info mode -: the mode is normal, was offline']);
    expect(told({ mode: 'offline', modeUntilMs: nowMs }, {})).toEqual([
      'info mode -: the mode is normal again: the time of offline is over',
    ]);
    expect(told({ mode: 'offline' }, offline)).toHaveLength(1);
  });

  it('tell of each upstream that an operator moved', () => {
    expect(told({ takenOut: ['a', 'b'] }, { takenOut: ['b', 'c'] })).toEqual([
      'warning control c: c was taken out by hand',
      'info control a: a was put in again by hand',
    ]);
    expect(told({}, { pinned: 'a' })).toEqual(['info control a: a was pinned by hand']);
    expect(told({ pinned: 'a' }, { pinned: 'b' })).toEqual(['info control b: b was pinned by hand']);
    expect(told({ pinned: 'a' }, {})).toEqual(['info control a: a is no longer pinned']);
  });

  it('tell of a freeze and its end', () => {
    expect(told({}, { isFrozen: true })[0]).toMatch(/^warning control -: .* frozen/);
    expect(told({ isFrozen: true }, {})[0]).toMatch(/^info control -: .* follows their health again/);
  });
});

describe('events of the service', () => {
  it('tell what is in force', () => {
    expect(reloadedEvent(4)).toMatchObject({ kind: 'reload', severity: 'info', data: { revision: 4 } });
    expect(reloadRefusedEvent('a fault')).toMatchObject({ severity: 'error' });
    expect(startedEvent('0.1.0', ['cn', 'io']).message).toBe('modferry 0.1.0 started; upstreams: cn, io');
    expect(startedEvent('0.1.0', []).message).toContain('upstreams: none');
  });
});

describe('movedTagEvent', () => {
  it('warns, with the tag and both commits', () => {
    const [from, to] = ['a'.repeat(40), 'b'.repeat(40)];
    const url = 'https://git.corp.test/team/lib.git';
    const event = movedTagEvent({ url, tag: 'v1.0.0', from, to, paths: ['git.corp.test/team/lib'] });
    expect(event).toMatchObject({ kind: 'moved_tag', severity: 'warning', module: 'git.corp.test/team/lib' });
    expect(event.message).toContain(`tag v1.0.0 of ${url} was moved from aaaaaaaaaaaa to bbbbbbbbbbbb`);
    expect(event.data).toMatchObject({ from, to, modules: 1 });
  });
});
