/** Made by vite.config.ts: the address of the frame that threads live in. */
declare module "virtual:threads" {
  const address: string;
  export default address;
}
