/** Times as .info files carry them. The text is kept as it came (its zone offset is shown to users), only checked. */

// Looser than the RFC where Go is: a one-digit hour, a comma before the fraction, offsets up to 24:60.
const shape =
  /^(\d{4})-(\d\d)-(\d\d)T(?:[01]?\d|2[0-3]):[0-5]\d:[0-5]\d(?:[.,]\d+)?(?:Z|[+-](?:[01]\d|2[0-4]):(?:[0-5]\d|60))$/;

/** Whether `text` is a date and time that Go's time.Time reads from JSON: RFC 3339, no leap second. */
export function isRfc3339(text: string): boolean {
  const found = shape.exec(text);
  if (found === null) return false;
  const [, year, month, day] = found.map(Number);
  return isDate(year ?? 0, month ?? 0, day ?? 0);
}

function isDate(year: number, month: number, day: number): boolean {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  return days !== undefined && day >= 1 && day <= days;
}
