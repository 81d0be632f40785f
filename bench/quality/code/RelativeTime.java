package util.text;

import java.time.Duration;
import java.time.Instant;
import java.util.Locale;

public final class RelativeTime {
    private static final long[] LIMITS = {60, 3600, 86_400, 2_592_000, 31_536_000};
    private static final String[] UNITS = {"second", "minute", "hour", "day", "month", "year"};
    private static final long[] SIZES = {1, 60, 3600, 86_400, 2_592_000, 31_536_000};

    private RelativeTime() {}

    public static String describe(Instant moment, Instant now) {
        Duration gap = Duration.between(moment, now);
        long seconds = Math.abs(gap.getSeconds());
        if (seconds < 10) {
            return "just now";
        }
        int i = 0;
        while (i < LIMITS.length && seconds >= LIMITS[i]) {
            i++;
        }
        long count = seconds / SIZES[i];
        String phrase = plural(count, UNITS[i]);
        return gap.isNegative() ? "in " + phrase : phrase + " ago";
    }

    private static String plural(long count, String unit) {
        return String.format(Locale.ROOT, "%d %s%s", count, unit, count == 1 ? "" : "s");
    }
}
