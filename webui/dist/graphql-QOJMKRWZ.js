import{a as o,b as s}from"./chunk-RVPITTNE.js";import"./chunk-CWH4TBJB.js";import"./chunk-NFXUFBSF.js";import"./chunk-EEPD46WU.js";import"./chunk-6ATBPRIA.js";export{s as format,o as operations};
