const DAY_MS = 86_400_000;

/** Adds months and stays in the target month: 31 January + 1 is 28 or 29 February. */
export function addMonths(date: Date, months: number): Date {
  const result = new Date(date);
  const day = result.getUTCDate();
  result.setUTCDate(1);
  result.setUTCMonth(result.getUTCMonth() + months);
  result.setUTCDate(Math.min(day, daysInMonth(result.getUTCFullYear(), result.getUTCMonth())));
  return result;
}

export function daysInMonth(year: number, month: number): number {
  return new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
}

export function isWeekend(date: Date): boolean {
  const day = date.getUTCDay();
  return day === 0 || day === 6;
}

/** Moves forward by working days; holidays are ISO dates. */
export function addBusinessDays(date: Date, days: number, holidays: ReadonlySet<string> = new Set()): Date {
  let current = new Date(date);
  let left = days;
  while (left > 0) {
    current = new Date(current.getTime() + DAY_MS);
    if (!isWeekend(current) && !holidays.has(current.toISOString().slice(0, 10))) left--;
  }
  return current;
}

export function daysBetween(a: Date, b: Date): number {
  const midnight = (d: Date) => Date.UTC(d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate());
  return Math.round((midnight(b) - midnight(a)) / DAY_MS);
}

export function ageInYears(birth: Date, today: Date): number {
  const years = today.getUTCFullYear() - birth.getUTCFullYear();
  return addMonths(birth, years * 12) > today ? years - 1 : years;
}
