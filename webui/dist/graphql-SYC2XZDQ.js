import{a as o,b as s}from"./chunk-RNDSRP3C.js";import"./chunk-APT4BTTG.js";import"./chunk-JAMO2ZGU.js";import"./chunk-EEPD46WU.js";import"./chunk-6ATBPRIA.js";export{s as format,o as operations};
