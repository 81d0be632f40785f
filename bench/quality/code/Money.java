package util.money;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.Currency;
import java.util.List;

/** An amount in the smallest unit of a currency. */
public record Money(long minorUnits, Currency currency) {

    public static Money of(String amount, String code) {
        Currency currency = Currency.getInstance(code);
        BigDecimal scaled = new BigDecimal(amount).movePointRight(currency.getDefaultFractionDigits());
        return new Money(scaled.longValueExact(), currency);
    }

    public Money plus(Money other) {
        if (!currency.equals(other.currency)) {
            throw new IllegalArgumentException("different currencies");
        }
        return new Money(Math.addExact(minorUnits, other.minorUnits), currency);
    }

    public Money percent(BigDecimal rate) {
        BigDecimal share = BigDecimal.valueOf(minorUnits).multiply(rate).movePointLeft(2);
        return new Money(share.setScale(0, RoundingMode.HALF_EVEN).longValueExact(), currency);
    }

    /** Splits without losing a cent: the first parts take the remainder. */
    public List<Money> split(int parts) {
        long base = minorUnits / parts;
        long rest = minorUnits % parts;
        List<Money> result = new ArrayList<>();
        for (int i = 0; i < parts; i++) {
            result.add(new Money(base + (i < rest ? 1 : 0), currency));
        }
        return result;
    }
}
