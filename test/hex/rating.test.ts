import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { rate } from "../../examples/hex-selfplay/rating/elo.ts";
import { deservesPromotion, scoreText, wilson } from "../../examples/hex-selfplay/rating/score.ts";

describe("score with Wilson's 95 % interval", () => {
  it("agrees with published values", () => {
    close(wilson(0, 10).high, 0.2775, 1e-4);
    close(wilson(5, 10).low, 0.2366, 1e-4);
    close(wilson(5, 10).high, 0.7634, 1e-4);
    close(wilson(81, 263).low, 0.2553, 1e-4); // Newcombe 1998, table I
    close(wilson(81, 263).high, 0.3662, 1e-4);
    close(wilson(10, 10).high, 1, 1e-12);
  });

  it("refuses a score of no games and more wins than games", () => {
    assert.throws(() => wilson(0, 0), RangeError);
    assert.throws(() => wilson(3, 2), RangeError);
  });

  it("reads well in a log", () => {
    assert.equal(scoreText(wilson(183, 300)), "0.610 [0.554, 0.663] over 300 games");
  });
});

describe("promotion", () => {
  it("takes a lower bound above one half against the canonical version", () => {
    assert.equal(deservesPromotion(wilson(166, 300), "canonical"), false);
    assert.ok(wilson(166, 300).score > 0.55);
    assert.equal(deservesPromotion(wilson(167, 300), "canonical"), true);
    assert.equal(deservesPromotion(wilson(150, 300), "canonical"), false);
  });

  it("takes 80 % against uniform-random play for the first version", () => {
    assert.equal(deservesPromotion(wilson(239, 300), "random"), false);
    assert.equal(deservesPromotion(wilson(240, 300), "random"), true);
  });
});

describe("Elo", () => {
  it("of two players is the logistic of their score, with the half width that its Fisher information gives", () => {
    const [strong, anchor] = rate([{ first: 1, second: 2, firstWins: 2_500, secondWins: 7_500 }], 1);
    assert.deepEqual([strong!.model, anchor!.model], [2, 1]);
    close(strong!.elo, 400 * Math.log10(3), 0.1);
    close(strong!.plusMinus, (1.96 * 400) / Math.LN10 / Math.sqrt(10_000 * 0.25 * 0.75), 0.1);
    assert.deepEqual([anchor!.elo, anchor!.plusMinus, anchor!.games], [0, 0, 10_000]);
  });

  it("adds along a chain, and the uncertainty with it", () => {
    const ratings = rate(
      [
        { first: 1, second: 2, firstWins: 2_500, secondWins: 7_500 },
        { first: 2, second: 3, firstWins: 2_500, secondWins: 7_500 },
      ],
      1,
    );
    const [third, second] = ratings;
    close(third!.elo, 2 * second!.elo, 0.1);
    close(third!.plusMinus, Math.SQRT2 * second!.plusMinus, 0.1);
  });

  it("stays finite for a player who lost every game, and leaves out whom no game joins to the anchor", () => {
    const ratings = rate(
      [
        { first: 0, second: 1, firstWins: 0, secondWins: 300 },
        { first: 7, second: 8, firstWins: 10, secondWins: 10 },
      ],
      1,
    );
    assert.deepEqual(
      ratings.map((row) => row.model),
      [1, 0],
    );
    close(ratings[1]!.elo, -400 * Math.log10(300.5 / 0.5), 0.5);
    assert.ok(ratings[1]!.plusMinus > 200);
  });
});

function close(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected} ± ${tolerance}`);
}
