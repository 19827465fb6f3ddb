import assert from "node:assert/strict";
import { test } from "node:test";
import { fromCodePoints, toCodePoints } from "@laneway/kernel";

void test("positions count code points, indices UTF-16 units", () => {
  const code = "a🐍é\n🐍b";
  const positions = [0, 1, 2, 3, 4, 5, 6];
  const indices = [0, 1, 3, 4, 5, 7, 8];
  assert.deepEqual(
    positions.map((position) => fromCodePoints(code, position)),
    indices,
  );
  assert.deepEqual(
    indices.map((index) => toCodePoints(code, index)),
    positions,
  );
});
