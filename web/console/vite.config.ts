import { defineConfig } from "vitest/config";
import { mock } from "./mock/plugin";

// `vite` proxies to a centre named by ANGBU_URL; without one, and in `--mode mock`, made-up data answers.
const centre = process.env.ANGBU_URL;

export default defineConfig(({ mode }) => ({
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2022",
    // The page's policy allows nothing inline, so nothing may become a data: address.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: centre === undefined ? {} : { proxy: { "/api": centre, "/checkpoint": centre } },
  plugins: mode === "mock" || centre === undefined ? [mock()] : [],
  test: { environment: "node", env: { TZ: "Asia/Seoul" } },
}));
