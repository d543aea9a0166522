/** The hours of the day in which background work may run, in local time. */

/** Minutes since local midnight, 0 to 1440: from `fromMin` up to but not including `toMin`. May wrap midnight. */
export interface HoursWindow {
  readonly fromMin: number;
  readonly toMin: number;
}

const minutesPerDay = 24 * 60;

/** `22:00-06:30`, `00:00-24:00`. Undefined when the text is no window, or an empty one. */
export function parseHours(text: string): HoursWindow | undefined {
  const match = /^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$/.exec(text.replaceAll(/\s/g, ''));
  if (match === null) return undefined;
  const [fromMin, toMin] = [minuteOf(match[1], match[2]), minuteOf(match[3], match[4])];
  if (fromMin === undefined || toMin === undefined || fromMin === toMin) return undefined;
  return { fromMin, toMin };
}

/** No windows: always. */
export function isWithinHours(hours: readonly HoursWindow[], nowMs: number): boolean {
  if (hours.length === 0) return true;
  const now = new Date(nowMs);
  const minute = now.getHours() * 60 + now.getMinutes();
  return hours.some(({ fromMin, toMin }) =>
    fromMin < toMin ? minute >= fromMin && minute < toMin : minute >= fromMin || minute < toMin,
  );
}

function minuteOf(hours = '', minutes = ''): number | undefined {
  const minute = Number(hours) * 60 + Number(minutes);
  return Number(minutes) < 60 && minute <= minutesPerDay ? minute : undefined;
}
